/*
 * Runs the aarch64 bytes of launch.c under qemu, which has no clone3: `launch-arm64 BLOB parent` asks for a namespace and prints
 * the error; `... child` asks for none, so that a child is made by clone, and ends as that does, which walks a program: openat a file that is missing (expected), a write that needs it (left out), pipe2-like results by dup, a
 * write to the dup, and last a check that fails.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct operation {
  long number, argument[6];
  unsigned from_result, check;
  long expected;
  int ignored[4];
  long result;
};
struct program {
  unsigned long clone[11];
  long clone_size, count, status, pidfd;
  struct operation operations[8];
};
_Static_assert(sizeof(struct operation) == 96, "layout");

static const char text[] = "walked\n";
static struct program program = {
    .count = 6,
    .status = 2,
    .operations =
        {
            {.number = SYS_openat, .argument = {AT_FDCWD, (long)"/missing", 0}, .ignored = {2}},
            {.number = SYS_write, .argument = {0, (long)"no\n", 3}, .from_result = 1},
            {.number = SYS_dup, .argument = {1}},
            {.number = SYS_write, .argument = {2, (long)text, 7}, .from_result = 1, .check = 1, .expected = 7},
            {.number = SYS_getpid, .argument = {(long)text}, .check = 2, .expected = 'w'},
            {.number = SYS_getpid, .check = 1, .expected = -5},
        },
};

static char stack[65536];

int main(int argc, char **argv) {
  char *code = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd = open(argv[1], O_RDONLY), status = 0;
  long size = read(fd, code, 65536);
  mprotect(code, 65536, PROT_READ | PROT_EXEC);
  __builtin___clear_cache(code, code + size);
  program.clone_size = 88;
  if (argc == 3 && strcmp(argv[2], "parent") == 0) program.clone[0] = 0x00020000; /* CLONE_NEWNS */
  program.clone[4] = 17;                                                          /* SIGCHLD */
  program.clone[5] = (long)stack;
  program.clone[6] = sizeof stack;
  long pid = ((long (*)(struct program *))code)(&program);
  if (pid < 0) {
    printf("%ld\n", pid);
    return 0;
  }
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}
