/*
 * Runs the aarch64 bytes of launch.c under qemu, which has no clone3: `launch-arm64 BLOB parent` calls them as they are and
 * prints what they return; `... child` calls a copy whose clone3 returns 0, so that they go on as the child does and
 * walk a program: openat a file that is missing (expected), a write that needs it (left out), pipe2-like results by dup, a
 * write to the dup, and last a check that fails.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

int main(int argc, char **argv) {
  uint32_t *code = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd = open(argv[1], O_RDONLY);
  long size = read(fd, code, 65536);
  if (argc == 3 && strcmp(argv[2], "child") == 0) {
    int patched = 0;
    for (long i = 0, after = 0; i < size / 4; i++) {
      if (code[i] == 0xd2803668) after = 1; /* mov x8, #435 */
      if (code[i] != 0xd4000001 || !after) continue;
      code[i] = 0xd2800000; /* svc 0 -> mov x0, #0 */
      patched++;
      after = 0;
    }
    if (patched != 1) return 3;
  }
  mprotect(code, 65536, PROT_READ | PROT_EXEC);
  __builtin___clear_cache((char *)code, (char *)code + size);
  program.clone_size = 88;
  printf("%ld\n", ((long (*)(struct program *))code)(&program));
  return 0;
}
