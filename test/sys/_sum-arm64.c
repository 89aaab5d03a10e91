/* Runs the aarch64 bytes of sum.c under qemu: `sum-arm64 BLOB DIRECTORY` prints both sums. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
  long fd;
  unsigned long all, steady, bytes;
  char rest[1 << 18];
} tree;

int main(int argc, char **argv) {
  char *code = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int fd = open(argv[argc - 2], O_RDONLY);
  long size = read(fd, code, 65536);
  mprotect(code, 65536, PROT_READ | PROT_EXEC);
  __builtin___clear_cache(code, code + size);
  tree.fd = open(argv[argc - 1], O_RDONLY | O_DIRECTORY);
  tree.bytes = sizeof tree.rest;
  long result = ((long (*)(void *))code)(&tree);
  printf("%ld %lu %lu\n", result, tree.all, tree.steady);
  return 0;
}
