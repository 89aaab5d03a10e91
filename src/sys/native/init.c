/*
 * The first process of a step, PID 1 where it has a PID namespace: a static program without a libc, executed from a sealed memfd, so that no file of the host and no memory
 * of tsbuild is alive in the container.
 *
 *   init NAME COUNT CANDIDATE... ARGUMENT...     fd 3: a socket to tsbuild
 *
 * It starts the command (the first CANDIDATE that can be executed), reports that as a struct message, reaps orphans, reports
 * how the command ended as another one, and exits; the PID namespace, and whatever the command left running, ends with it. It also ends when
 * tsbuild does: the other end of fd 3 is closed then. PR_SET_PDEATHSIG says the same, but has a gap before it is set.
 * Bytes that tsbuild writes to fd 3 are signals for the command: N, or 128 + N for its whole process group.
 *
 * Where there is no PID namespace it is the subreaper of the step, and fd 63 lists its children (proc(5), /proc/PID/task/TID/children):
 * then it kills whatever descends from it before it ends. It keeps CAP_KILL for that, which the command does not get.
 */
#include "syscall.h"

enum { STATUS = 3, CHILDREN = 63, GROUP = 128, CLD_SIGNAL = 17, SIGNAL_COUNT = 64, SIGNAL_SET_BYTES = 8, SIG_SETMASK = 2 };
enum { F_SETFD = 2, FD_CLOEXEC = 1, SFD_CLOEXEC = 02000000, SFD_NONBLOCK = 04000 };
enum { CLONE_VFORK = 0x4000, TIOCSCTTY = 0x540E };
enum { PR_SET_PDEATHSIG = 1, PR_SET_DUMPABLE = 4, PR_SET_NAME = 15, WNOHANG = 1, WALL = 0x40000000, SIGKILL = 9 };
enum { EINTR = 4, ENOENT = 2, ECHILD = 10, EACCES = 13, ENOTDIR = 20, CAPABILITY_VERSION_3 = 0x20080522 };
enum { POLLIN = 1, POLLERR = 8, POLLHUP = 16 };

struct poll_request {
  int fd;
  short events;
  short received;
};

/* SIG_DFL, no flags, no restorer, empty mask; larger than any architecture's struct. */
struct default_action {
  unsigned long words[4];
};

__attribute__((noreturn)) static void finish(int code) {
  for (;;) syscall1(__NR_exit_group, code);
}

static void report(unsigned int kind, int value) {
  struct message message = {kind, value, 0};
  syscall3(__NR_write, STATUS, &message, sizeof message);
}

/* Nothing that the command started is alive afterwards. Whoever loses its parent becomes a child of ours; a list may be short of some
 * of them while others end, so what counts is that there is nobody left to wait for. */
static void end_descendants(void) {
  for (;;) {
    char text[512];
    long length = syscall4(__NR_pread64, CHILDREN, text, sizeof text, 0), pid = 0;
    for (long i = 0; i < length; i++) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
        continue;
      }
      if (pid > 1) syscall2(__NR_kill, pid, SIGKILL);
      pid = 0;
    }
    while ((pid = syscall4(__NR_wait4, -1, 0, WNOHANG | WALL, 0)) > 0) {
    }
    if (pid == -ECHILD) return;
    long pause[2] = {0, 1000000};
    syscall5(__NR_ppoll, 0, 0, pause, 0, SIGNAL_SET_BYTES);
  }
}

/* Of a user other than root: root has none beyond its bounding set when it executes. capset(2) */
static void drop_capabilities(void) {
  unsigned int header[2] = {CAPABILITY_VERSION_3, 0}, sets[6] = {0, 0, 0, 0, 0, 0};
  if (syscall0(__NR_geteuid) != 0 && syscall2(__NR_capset, header, sets) != 0) finish(127);
}

/* The command's side of the fork: every signal as a fresh process has it (Node ignores SIGPIPE), a session of its own, then
 * the candidates in order, as execvp(3) tries them. */
__attribute__((noreturn)) static void start(char **candidates, char **argv, char **environment, int is_subreaper) {
  struct default_action action = {{0, 0, 0, 0}};
  for (long number = 1; number <= SIGNAL_COUNT; number++) {
    syscall4(__NR_rt_sigaction, number, &action, 0, SIGNAL_SET_BYTES);
  }
  syscall0(__NR_setsid);
  syscall3(__NR_ioctl, 0, TIOCSCTTY, 0); /* where standard input is a terminal, the container's own */
  unsigned long none = 0;
  syscall4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, SIGNAL_SET_BYTES);
  if (is_subreaper) {
    drop_capabilities();
    syscall2(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
  }
  long error = ENOENT;
  for (char **candidate = candidates; candidate < argv; candidate++) {
    long result = -syscall3(__NR_execve, *candidate, argv, environment);
    if (result == ENOENT || result == ENOTDIR) continue;
    error = result;
    if (result != EACCES) break;
  }
  report(KIND_NOT_STARTED, (int)error);
  finish(127);
}

/* Reaps everything that has ended; reports and exits when that includes the command. */
static void reap(long command, int is_subreaper) {
  for (;;) {
    int status = 0;
    long pid = syscall4(__NR_wait4, -1, &status, WNOHANG, 0);
    if (pid <= 0) return;
    if (pid != command) continue;
    if (is_subreaper) end_descendants();
    if ((status & 0x7f) == 0) {
      report(KIND_EXITED, status >> 8 & 0xff);
    } else {
      report(KIND_KILLED, status & 0x7f);
    }
    finish(0);
  }
}

/* Passes on what tsbuild sent. The command is not reaped yet, so its number is still its own. */
static void pass_signals(long command) {
  unsigned char bytes[16];
  long count = syscall3(__NR_read, STATUS, bytes, sizeof bytes);
  for (long i = 0; i < count; i++) {
    long number = bytes[i] & (GROUP - 1);
    if ((bytes[i] & GROUP) != 0 && syscall2(__NR_kill, -command, number) == 0) continue;
    syscall2(__NR_kill, command, number);
  }
}

__attribute__((noreturn, used)) static void init(long *stack) {
  long count = 0;
  char **argv = (char **)(stack + 1);
  char **environment = argv + stack[0] + 1;
  for (const char *digit = argv[1]; *digit != 0; digit++) count = count * 10 + (*digit - '0');
  syscall2(__NR_prctl, PR_SET_DUMPABLE, 0);
  syscall2(__NR_prctl, PR_SET_NAME, argv[0]);
  syscall3(__NR_fcntl, STATUS, F_SETFD, FD_CLOEXEC);
  int is_subreaper = syscall3(__NR_fcntl, CHILDREN, F_SETFD, FD_CLOEXEC) == 0;

  unsigned long all = ~0UL, child_ended = 1UL << (CLD_SIGNAL - 1);
  syscall4(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, SIGNAL_SET_BYTES);
  long signals = syscall4(__NR_signalfd4, -1, &child_ended, SIGNAL_SET_BYTES, SFD_CLOEXEC | SFD_NONBLOCK);
  /* Returns when the child has executed the command, or has ended. */
  long command = syscall5(__NR_clone, CLD_SIGNAL | CLONE_VFORK, 0, 0, 0, 0);
  if (command == 0) start(argv + 2, argv + 2 + count, environment, is_subreaper);
  if (command < 0 || signals < 0) {
    report(KIND_NOT_STARTED, (int)-(command < 0 ? command : signals));
    finish(127);
  }
  report(KIND_STARTED, 0);
  for (;;) {
    struct poll_request requests[2] = {{STATUS, POLLIN, 0}, {(int)signals, POLLIN, 0}};
    syscall5(__NR_ppoll, requests, 2, 0, 0, SIGNAL_SET_BYTES);
    if (requests[0].received & (POLLHUP | POLLERR)) {
      if (is_subreaper) end_descendants();
      finish(137);
    }
    if (requests[0].received & POLLIN) pass_signals(command);
    char notice[128];
    while (syscall3(__NR_read, signals, notice, sizeof notice) > 0) {
    }
    reap(command, is_subreaper);
  }
}

/* The kernel enters with argc, argv and envp on the stack. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall init\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tbl init\n");
#endif
