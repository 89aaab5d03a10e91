/*
 * What stat says of all files of a tree, as two sums: position-independent code that tsbuild maps and calls, on a thread of its own where
 * others wait for none of it. Ten thousand calls by way of JavaScript would take several times as long.
 *
 * Each name gives a number, mixed from its path and its facts; a sum of them depends on no order. One descriptor is open at a time, and
 * directories wait by name in the caller's memory, so that no depth of a tree is too much. src/sys/tree-facts.ts has the layout, and
 * src/sys/tree-facts-walk.ts is the same in TypeScript.
 */
#include "syscall.h"

#if defined(__x86_64__)
enum { OPEN_DIRECTORY = 0200000 | 0400000 | 02000000 }; /* O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC */
#else
enum { OPEN_DIRECTORY = 040000 | 0100000 | 02000000 };
#endif
enum { STAT_FLAGS = 0x900, AT_EMPTY_PATH = 0x1000, STATX_BASIC_STATS = 0x7ff, EINTR = 4, ENOMEM = 12, TYPE = 0170000, DIRECTORY = 0040000 };
enum { ENTRIES_BYTES = 32768, NAME_BYTES_MAX = 256 };
/* struct statx by its 64-bit words: statx(2) */
enum { UID = 2, GID_AND_MODE = 3, INODE = 4, SIZE = 5, CTIME = 12, MTIME = 14, DEVICE = 16, STATX_WORDS = 32 };

typedef unsigned long word;

struct tree {
  long fd;
  word all;    /* of all facts */
  word steady; /* without the change times, which a new hard link sets */
  word bytes;  /* of what follows */
  char entries[ENTRIES_BYTES];
  char stack[];
};

/* A directory on the stack: this, then the names of directories in it, each with the place where it begins behind it. */
struct frame {
  word below; /* the frame of the directory above */
  word path;
};

/* A call that a signal cuts short is made once more: whoever begins the tree anew may never come to its end. */
static long insist(long number, long a, long b, long c, long d, long e) {
  long result;
  do result = syscall5(number, a, b, c, d, e);
  while (result == -EINTR);
  return result;
}

static word mix(word sum, word value) {
  sum = (sum ^ value) * 0x9E3779B97F4A7C15UL;
  return sum ^ sum >> 29;
}

static word mix_name(word sum, const char *name) {
  word part = 0, length = 0;
  for (; name[length] != 0; length++) {
    part |= (word)(unsigned char)name[length] << length % 8 * 8;
    if (length % 8 != 7) continue;
    sum = mix(sum, part);
    part = 0;
  }
  return mix(mix(sum, part), length);
}

static void add(struct tree *tree, word path, const word *stat) {
  word sum = mix(path, stat[UID] >> 32);
  sum = mix(sum, stat[GID_AND_MODE]);
  sum = mix(sum, stat[INODE]);
  sum = mix(sum, stat[SIZE]);
  sum = mix(sum, stat[MTIME]);
  sum = mix(sum, (unsigned int)stat[MTIME + 1]);
  sum = mix(sum, stat[DEVICE]);
  tree->steady += mix(sum, 0);
  sum = mix(sum, stat[CTIME]);
  tree->all += mix(mix(sum, (unsigned int)stat[CTIME + 1]), 0);
}

/* Adds what is in a directory; names of directories go on the stack. Returns the new top, or a negative errno. */
static long list(struct tree *tree, long fd, word path, word top) {
  word stat[STATX_WORDS];
  for (;;) {
    long length = insist(__NR_getdents64, fd, (long)tree->entries, ENTRIES_BYTES, 0, 0);
    if (length < 0) return length;
    if (length == 0) return (long)top;
    for (char *at = tree->entries; at < tree->entries + length; at += *(unsigned short *)(at + 16)) {
      const char *name = at + 19;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      long result = insist(__NR_statx, fd, (long)name, STAT_FLAGS, STATX_BASIC_STATS, (long)stat);
      if (result < 0) return result;
      add(tree, mix_name(path, name), stat);
      if ((stat[GID_AND_MODE] >> 32 & TYPE) != DIRECTORY) continue;
      if (top + NAME_BYTES_MAX + 2 * sizeof(struct frame) + sizeof(word) > tree->bytes - ENTRIES_BYTES) return -ENOMEM;
      word end = top;
      do tree->stack[end++] = *name;
      while (*name++ != 0);
      end = (end + 7) & ~7UL;
      *(word *)(tree->stack + end) = top;
      top = end + sizeof(word);
    }
  }
}

/* From one directory to another in place of it: one descriptor at a time. */
static long move(long fd, const char *name) {
  long next = insist(__NR_openat, fd, (long)name, OPEN_DIRECTORY, 0, 0);
  syscall1(__NR_close, fd);
  return next;
}

/* Entry: 0, or a negative errno; ENOMEM asks for more memory. */
__attribute__((section(".text.entry"), used)) long sum(struct tree *tree) {
  word nothing = 0, here = '.', up = '.' | '.' << 8; /* strings, without data */
  word stat[STATX_WORDS];
  long result = insist(__NR_statx, tree->fd, (long)&nothing, STAT_FLAGS | AT_EMPTY_PATH, STATX_BASIC_STATS, (long)stat);
  if (result < 0) return result;
  /* A directory that is moved gets another one. */
  stat[CTIME] = stat[CTIME + 1] = 0;
  add(tree, 0, stat);
  long fd = insist(__NR_openat, tree->fd, (long)&here, OPEN_DIRECTORY, 0, 0);
  word at = 0, path = 0, below = 0;
  for (;;) {
    if (fd < 0) return fd;
    struct frame *frame = (struct frame *)(tree->stack + at);
    frame->below = below;
    frame->path = path;
    long top = list(tree, fd, path, at + sizeof(struct frame));
    for (;;) {
      if (top < 0 || (at == 0 && top == sizeof(struct frame))) {
        syscall1(__NR_close, fd);
        return top < 0 ? top : 0;
      }
      frame = (struct frame *)(tree->stack + at);
      if ((word)top != at + sizeof(struct frame)) break;
      top = (long)at;
      at = frame->below;
      fd = move(fd, (char *)&up);
      if (fd < 0) return fd;
    }
    below = at;
    at = *(word *)(tree->stack + top - sizeof(word));
    path = mix_name(frame->path, tree->stack + at);
    fd = move(fd, tree->stack + at);
  }
}
