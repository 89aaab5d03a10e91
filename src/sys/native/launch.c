/*
 * The syscall program's interpreter: position-independent code that tsbuild maps and calls.
 *
 * JavaScript cannot run in a forked child (V8's heap is MADV_DONTFORK), and a multithreaded process cannot prepare a
 * container in itself. So everything that a child has to do is a table of system calls, laid out beforehand in memory of our
 * own, and this code is all that runs between clone3(2) and execveat(2). It touches that table and its stack, nothing else.
 * Profiles of containers may hide clone3, whose flags no filter can read: a child without namespaces of its own is then made by clone(2).
 * The layout is the twin of src/sys/syscall-program.ts.
 */
#include "syscall.h"

enum { CHECK_RESULT = 1, CHECK_FIRST_BYTE = 2 };
enum { ERRNO_MAX = 4095, ENOSYS = 38, EPROTO = 71, ECANCELED = 125, SIG_SETMASK = 2, SIGNAL_SET_BYTES = 8 };
/* struct clone_args by its words, and the flags of all namespaces: clone(2) */
enum { FLAGS = 0, PIDFD = 1, EXIT_SIGNAL = 4, STACK = 5, STACK_SIZE = 6, NAMESPACES = 0x7e020080 };

struct operation {
  long number;
  long argument[6];
  unsigned int from_result; /* bit i: argument[i] is the index of the operation whose result it takes */
  unsigned int check;
  long expected;
  int ignored[4]; /* errnos that are fine */
  long result;
};

struct program {
  unsigned long clone[11]; /* struct clone_args */
  long clone_size;
  long count;
  long status; /* where a struct message goes when an operation fails */
  long pidfd;  /* written by clone3 */
  struct operation operations[];
};

static int is_ignored(const struct operation *operation, long error) {
  for (int i = 0; i < 4; i++) {
    if (operation->ignored[i] == error) return 1;
  }
  return 0;
}

/* The child: one operation after the other; the last one is an exec. An operation that needs the result of one that
 * failed in an expected way is left out. */
__attribute__((noreturn, used)) static void walk(struct program *program) {
  for (long index = 0; index < program->count; index++) {
    struct operation *operation = &program->operations[index];
    long argument[6];
    int left_out = 0;
    for (int i = 0; i < 6; i++) {
      argument[i] = operation->argument[i];
      if (operation->from_result >> i & 1) {
        argument[i] = program->operations[argument[i]].result;
        if (argument[i] < 0) left_out = 1;
      }
    }
    operation->result = -ECANCELED;
    if (left_out) continue;
    long result = syscall6(operation->number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    operation->result = result;
    long error = 0;
    if (result < 0 && result >= -ERRNO_MAX) {
      if (is_ignored(operation, -result)) continue;
      error = -result;
    } else if (operation->check == CHECK_RESULT && result != operation->expected) {
      error = EPROTO;
    } else if (operation->check == CHECK_FIRST_BYTE && *(unsigned char *)argument[0] != operation->expected) {
      error = EPROTO;
    }
    if (error != 0) {
      struct message message = {KIND_OPERATION_FAILED, (int)index, (int)error};
      syscall3(__NR_write, program->status, &message, sizeof message);
      for (;;) syscall1(__NR_exit_group, 127);
    }
  }
  for (;;) syscall1(__NR_exit_group, 0);
}

/* Entry: the child's pid, or a negative errno. No signal handler of the caller may run in a child that shares its
 * memory, so all signals are blocked across the clone; the child keeps them blocked until it execs. */
__attribute__((section(".text.entry"), used)) long launch(struct program *program) {
  unsigned long all = ~0UL, before;
  syscall4(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_BYTES);
  long pid, number = __NR_clone3, first = (long)program->clone, second = program->clone_size, third = 0;
  for (;;) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "and $-16, %%rsp\n\t"
        "mov %[program], %%rdi\n\t"
        "call walk\n\t"
        "1:"
        : "=a"(pid)
        : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), [program] "b"(program)
        : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = 0;
    register struct program *x19 __asm__("x19") = program;
    __asm__ volatile(
        "svc 0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x0, x19\n\t"
        "bl walk\n\t"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19)
        : "memory");
    pid = x0;
#endif
    if (pid != -ENOSYS || number == __NR_clone || (program->clone[FLAGS] & NAMESPACES) != 0) break;
    number = __NR_clone;
    first = program->clone[FLAGS] | program->clone[EXIT_SIGNAL];
    second = program->clone[STACK] + program->clone[STACK_SIZE];
    third = program->clone[PIDFD];
  }
  syscall4(__NR_rt_sigprocmask, SIG_SETMASK, &before, 0, SIGNAL_SET_BYTES);
  return pid;
}
