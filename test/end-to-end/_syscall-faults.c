/*
 * syscall-faults LOG ACTION N COMMAND...: runs COMMAND, counts the system calls of all its threads and descendants that change
 * something, in the order in which they are made, and does ACTION at number N: `count` nothing, `kill` SIGKILL to COMMAND,
 * `kill-caller` SIGKILL to whoever calls, `error:ERRNO` lets the call fail unmade, `short` lets a write take half.
 * LOG gets a line for each: number, whose it is, name, what it is about; and at last how COMMAND ended, and how long what it started
 * outlived it. strace(1) counts by thread and by name: its `when=N` reaches only the thread that comes first.
 * Exits 0 when all processes are gone, 1 when some are left after 3 seconds (and kills them). x86-64.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* PATH: argument of a name, 9 for none. FD: counts where that argument is a file that has a name. */
enum { ALWAYS, WRITES, OPENS, OPENS2, CLONES, CLONES3 };
static const struct call { int nr; const char *name; int kind; int path; } CALLS[] = {
#define C(name, kind, path) { SYS_##name, #name, kind, path }
  C(openat, OPENS, 1), C(openat2, OPENS2, 1), C(creat, ALWAYS, 0), C(write, WRITES, 9), C(pwrite64, WRITES, 9), C(writev, WRITES, 9),
  C(pwritev, WRITES, 9), C(pwritev2, WRITES, 9), C(copy_file_range, ALWAYS, 9), C(sendfile, ALWAYS, 9), C(ftruncate, ALWAYS, 9),
  C(truncate, ALWAYS, 0), C(fallocate, ALWAYS, 9), C(fsync, ALWAYS, 9), C(fdatasync, ALWAYS, 9), C(syncfs, ALWAYS, 9),
  C(sync_file_range, ALWAYS, 9), C(rename, ALWAYS, 1), C(renameat, ALWAYS, 3), C(renameat2, ALWAYS, 3), C(link, ALWAYS, 1),
  C(linkat, ALWAYS, 3), C(symlink, ALWAYS, 1), C(symlinkat, ALWAYS, 2), C(unlink, ALWAYS, 0), C(unlinkat, ALWAYS, 1), C(rmdir, ALWAYS, 0),
  C(mkdir, ALWAYS, 0), C(mkdirat, ALWAYS, 1), C(mknod, ALWAYS, 0), C(mknodat, ALWAYS, 1), C(chmod, ALWAYS, 0), C(fchmod, ALWAYS, 9),
  C(fchmodat, ALWAYS, 1), C(chown, ALWAYS, 0), C(lchown, ALWAYS, 0), C(fchown, ALWAYS, 9), C(fchownat, ALWAYS, 1), C(utimensat, ALWAYS, 1),
  C(setxattr, ALWAYS, 0), C(lsetxattr, ALWAYS, 0), C(fsetxattr, ALWAYS, 9), C(removexattr, ALWAYS, 0), C(lremovexattr, ALWAYS, 0),
  C(fremovexattr, ALWAYS, 9), C(mount, ALWAYS, 1), C(umount2, ALWAYS, 0), C(move_mount, ALWAYS, 9), C(open_tree, ALWAYS, 1),
  C(fsopen, ALWAYS, 0), C(fsconfig, ALWAYS, 9), C(fsmount, ALWAYS, 9), C(mount_setattr, ALWAYS, 1), C(pivot_root, ALWAYS, 0),
  C(chroot, ALWAYS, 0), C(unshare, ALWAYS, 9), C(setns, ALWAYS, 9), C(execve, ALWAYS, 0), C(execveat, ALWAYS, 1), C(fork, ALWAYS, 9),
  C(vfork, ALWAYS, 9), C(clone, CLONES, 9), C(clone3, CLONES3, 9), C(flock, ALWAYS, 9), C(sendto, ALWAYS, 9), C(sendmsg, ALWAYS, 9),
  C(bind, ALWAYS, 9), C(sethostname, ALWAYS, 9), C(capset, ALWAYS, 9), C(seccomp, ALWAYS, 9),
};
enum { CALLS_COUNT = sizeof CALLS / sizeof *CALLS, LEFT_SECONDS = 3 };

static FILE *out;
static pid_t root;
static char rootExe[4096];
static const char *action;
static long at, count;
static struct timespec endedAt;

static void trace(void) {
  struct sock_filter code[4 * CALLS_COUNT + 8];
  int n = 0;
#define EMIT(...) code[n++] = (struct sock_filter)__VA_ARGS__
  EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
  for (int i = 0; i < CALLS_COUNT; i++) {
    int argument = CALLS[i].kind == OPENS ? 2 : CALLS[i].kind == CLONES ? 0 : -1;
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[i].nr, 0, argument < 0 ? 1 : 4));
    if (argument >= 0) {
      EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * argument));
      unsigned bits = CALLS[i].kind == OPENS ? O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY) : CLONE_THREAD;
      EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, CALLS[i].kind == OPENS ? 1 : 0, CALLS[i].kind == OPENS ? 0 : 1));
      EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  struct sock_fprog program = { n, code };
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) { perror("seccomp"); _exit(127); }
}

static void linkOf(char *text, size_t size, const char *format, int pid, long fd) {
  char path[64];
  snprintf(path, sizeof path, format, pid, fd);
  ssize_t length = readlink(path, text, size - 1);
  text[length < 0 ? 0 : length] = 0;
}

static void read_memory(pid_t pid, unsigned long address, void *into, size_t size) {
  struct iovec mine = { into, size }, theirs = { (void *)address, size };
  memset(into, 0, size);
  /* A string may end near the end of what is mapped. */
  if (process_vm_readv(pid, &mine, 1, &theirs, 1, 0) < 0 && size > 64) read_memory(pid, address, into, 64);
}

static pid_t processOf(pid_t thread) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", thread);
  FILE *file = fopen(path, "r");
  pid_t found = thread;
  while (file && fgets(line, sizeof line, file)) if (sscanf(line, "Tgid: %d", &found) == 1) break;
  if (file) fclose(file);
  return found;
}

static int changes(pid_t pid, const struct call *call, const unsigned long *args, char *about, size_t size) {
  unsigned long word = 0;
  about[0] = 0;
  if (call->path < 9) { read_memory(pid, args[call->path], about, size - 1); about[size - 1] = 0; }
  else linkOf(about, size, "/proc/%d/fd/%ld", pid, (long)(int)args[0]);
  for (char *at = about; *at; at++) if (*at == '\n' || *at == '\t') *at = ' ';
  if (call->kind == WRITES) return about[0] == '/' && strncmp(about, "/memfd:", 7) != 0 && strncmp(about, "/dev/", 5) != 0;
  if (call->kind == OPENS2) { read_memory(pid, args[2], &word, sizeof word); return (word & (O_CREAT | O_TRUNC)) != 0; }
  if (call->kind == CLONES3) { read_memory(pid, args[0], &word, sizeof word); return (word & CLONE_THREAD) == 0; }
  return 1;
}

static void refuse(pid_t pid, struct user_regs_struct *registers) {
  registers->orig_rax = -1;
  registers->rax = -atol(action + 6);
  ptrace(PTRACE_SETREGS, pid, 0, registers);
}

/* A thread that is about to make one of CALLS. */
static void onCall(pid_t pid) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) return;
  const struct call *call = 0;
  for (int i = 0; i < CALLS_COUNT; i++) if (CALLS[i].nr == (int)registers.orig_rax) call = &CALLS[i];
  unsigned long args[] = { registers.rdi, registers.rsi, registers.rdx, registers.r10 };
  char about[256], exe[4096];
  if (!call || !changes(pid, call, args, about, sizeof about)) return;
  pid_t process = processOf(pid);
  linkOf(exe, sizeof exe, "/proc/%d/exe%.0ld", process, 0);
  int ours = strcmp(exe, rootExe) == 0;
  /* Errors are for tsbuild, not for the commands of steps. */
  if (strncmp(action, "kill", 4) != 0 && !ours) return;
  count++;
  const char *whose = process == root ? (pid == root ? "main" : "pool") : ours ? "child" : exe;
  if (at == 0 || count == at) fprintf(out, "%ld\t%s\t%s\t%s\n", count, whose, call->name, about);
  if (count != at) return;
  fflush(out);
  if (strcmp(action, "kill") == 0) { clock_gettime(CLOCK_MONOTONIC, &endedAt); kill(root, SIGKILL); }
  if (strcmp(action, "kill-caller") == 0) kill(process, SIGKILL);
  if (strncmp(action, "error:", 6) == 0) refuse(pid, &registers);
  if (strcmp(action, "short") == 0 && (call->kind == WRITES) && registers.rdx > 1) {
    registers.rdx /= 2;
    ptrace(PTRACE_SETREGS, pid, 0, &registers);
  }
}

static void onTime(int signal) { (void)signal; }

static void onEnd(int status) {
  if (WIFSIGNALED(status)) fprintf(out, "end\tsignal\t%d\n", WTERMSIG(status));
  else fprintf(out, "end\tcode\t%d\n", WEXITSTATUS(status));
  if (endedAt.tv_sec == 0) clock_gettime(CLOCK_MONOTONIC, &endedAt);
  struct itimerval limit = { { 0, 100000 }, { LEFT_SECONDS, 0 } };
  setitimer(ITIMER_REAL, &limit, 0);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return 2;
  root = fork();
  if (root == 0) {
    char byte;
    if (read(ready[0], &byte, 1) != 1) _exit(127);
    trace();
    execvp(argv[4], argv + 4);
    _exit(127);
  }
  out = fopen(argv[1], "we");
  action = argv[2];
  at = atol(argv[3]);
  long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (!out || ptrace(PTRACE_SEIZE, root, 0, options) != 0) { perror("syscall-faults"); return 2; }
  struct sigaction onAlarm = { .sa_handler = onTime };
  sigaction(SIGALRM, &onAlarm, 0);
  if (write(ready[1], "x", 1) != 1) return 2;
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) { fprintf(out, "left\n"); fclose(out); return 1; }
    if (pid < 0) break;
    if (WIFEXITED(status) || WIFSIGNALED(status)) { if (pid == root) onEnd(status); continue; }
    int event = status >> 16, signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
      ptrace(PTRACE_LISTEN, pid, 0, 0);
      continue;
    }
    if (event == PTRACE_EVENT_SECCOMP) onCall(pid);
    if (event == PTRACE_EVENT_EXEC && pid == root && rootExe[0] == 0) linkOf(rootExe, sizeof rootExe, "/proc/%d/exe%.0ld", root, 0);
    ptrace(PTRACE_CONT, pid, 0, event != 0 ? 0 : signal);
  }
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  fprintf(out, "gone\t%ld\n", (now.tv_sec - endedAt.tv_sec) * 1000 + (now.tv_nsec - endedAt.tv_nsec) / 1000000);
  fprintf(out, "points\t%ld\n", count);
  fclose(out);
  return 0;
}
