/** The filter in the real kernel: programs of the test's own, compiled here, that load its bytes from a file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { defaultFilter } from '../../../src/sandbox/seccomp/default-filter.ts';
import { runFilter } from './_bpf-interpreter.ts';

const PROBE = String.raw`
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sock_filter code[4096];

static void install(const char *file) {
  int fd = open(file, O_RDONLY);
  ssize_t size = read(fd, code, sizeof code);
  close(fd);
  struct sock_fprog program = {size / sizeof code[0], code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) { perror("filter"); _exit(2); }
}

static long int80(long number) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
  return (int)result;
}

static long syscall64(long number) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(0L), "S"(0L), "d"(0L) : "memory", "rcx", "r11");
  return result;
}

/* Some hypervisors let no program make such calls. */
static int has32(void) {
  int status;
  if (fork() == 0) {
    int80(20 /* getpid */);
    _exit(0);
  }
  wait(&status);
  return WIFEXITED(status);
}

/* Every call gives an errno instead of running (the test changed ALLOW so), hence no call is left to end with: it faults. */
static void probe(const char *file) {
  int is32 = has32();
  int *found = mmap(0, 3 * 1024 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (fork() == 0) {
    install(file);
    for (int number = 0; number < 1024; number++) {
      /* uretprobe and uprobe (335, 336) pass by seccomp in the kernel, and kill who calls them from elsewhere. */
      if (number != 335 && number != 336) found[number] = -syscall64(number);
      found[1024 + number] = -syscall64(0x40000000L + number);
      if (is32) found[2048 + number] = -int80(number);
    }
    __builtin_trap();
  }
  int status;
  wait(&status);
  if (!WIFSIGNALED(status)) _exit(3);
  for (int number = 0; number < 3 * 1024; number++) printf("%d\n", found[number]);
}

static void try(const char *name, long result) { printf("%s %s\n", name, result == -1 ? strerrorname_np(errno) : "ok"); }

static void live(const char *file) {
  setvbuf(stdout, 0, _IONBF, 0);
  install(file);
  try("getpid", syscall(SYS_getpid) > 0 ? 0 : -1);
  try("socket AF_INET", socket(2, 1, 0));
  try("socket AF_ALG", socket(38, 5, 0));
  try("socket AF_VSOCK", socket(40, 1, 0));
  try("socket AF_ALG high", syscall(SYS_socket, 0x100000026L, 5, 0));
  try("unshare", unshare(0));
  try("clone3", syscall(SYS_clone3, 0, 0));
  try("above", syscall(1000));
  try("personality", syscall(SYS_personality, 0xffffffffL));
  try("personality odd", syscall(SYS_personality, 0x40000L));
  try("fork", fork() >= 0 ? 0 : -1);
}

int main(int argc, char **argv) {
  if (argv[1][0] == 'p') probe(argv[2]); else if (argv[1][0] == 'l') live(argv[2]);
  else { install(argv[2]); execv(argv[3], argv + 3); perror("execv"); return 4; }
  return 0;
}
`;

describe('defaultFilter() in the kernel', { skip: process.arch === 'x64' ? false : 'the probe is written for x86-64' }, () => {
  let directory = '';
  const filter = defaultFilter('x64', { capabilities: ['CAP_SYS_CHROOT'], kernel: { major: 6, minor: 1 } });

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsbuild-test-'));
    writeFileSync(join(directory, 'probe.c'), `#define _GNU_SOURCE\n${PROBE}`);
    execFileSync('gcc', ['-O1', '-o', join(directory, 'probe'), join(directory, 'probe.c')]);
    writeFileSync(join(directory, 'filter'), filter);
    writeFileSync(join(directory, 'numbered-filter'), withNumberedVerdicts(filter));
  });
  after(() => rmSync(directory, { recursive: true }));

  it('defaultFilter() gets the same verdict from the kernel as from the interpreter, for 1,024 numbers of three ABIs', (context) => {
    const lines = run('probe', 'numbered-filter').trim().split('\n').map(Number);
    assert.equal(lines.length, 3 * 1024);
    const verdicts = new Map([
      [3000, 0x7fff0000],
      [3001, 0x00050001],
      [3002, 0x00050026],
    ]);
    const abis = [
      { arch: 0xc000003e, base: 0 },
      { arch: 0xc000003e, base: 0x40000000 },
      { arch: 0x40000003, base: 0 },
    ];
    const has32 = lines.slice(2 * 1024).some((line) => line !== 0);
    if (!has32)
      context.diagnostic('NOT TRIED: int 0x80, by which 32-bit programs call the kernel, faults on this machine without any filter');
    abis.slice(0, has32 ? 3 : 2).forEach(({ arch, base }, abi) => {
      for (let number = 0; number < 1024; number++) {
        if (abi === 0 && (number === 335 || number === 336)) {
          continue;
        }
        const expected = runFilter(filter, { arch, number: base + number });
        assert.equal(
          verdicts.get(lines[abi * 1024 + number] ?? 0),
          expected,
          `${arch.toString(16)} ${number}: ${lines[abi * 1024 + number]}`,
        );
      }
    });
  });

  it('defaultFilter() refuses and allows what it should, when the calls are made', () => {
    assert.deepEqual(
      [...new Set(run('live', 'filter').trim().split('\n'))],
      [
        'getpid ok',
        'socket AF_INET ok',
        'socket AF_ALG EPERM',
        'socket AF_VSOCK EPERM',
        'socket AF_ALG high EPERM',
        'unshare EPERM',
        'clone3 ENOSYS',
        'above ENOSYS',
        'personality ok',
        'personality odd EPERM',
        'fork ok',
      ],
    );
  });

  it('defaultFilter() lets a shell, threads and Node run', () => {
    assert.equal(run('exec', 'filter', '/bin/sh', '-c', 'echo a | tr a b; ls / >/dev/null && echo c'), 'b\nc\n');
    const script =
      'require("fs").promises.readdir("/").then((l) => console.log(l.length > 3, require("child_process").execSync("echo x").toString()))';
    assert.equal(run('exec', 'filter', process.execPath, '-e', script), 'true x\n\n');
  });

  function run(mode: string, name: string, ...command: string[]): string {
    return execFileSync(join(directory, 'probe'), [mode, join(directory, name), ...command], { encoding: 'utf8', timeout: 30_000 });
  }
});

/** Each verdict as an errno that no system call gives: nothing runs, and what the filter said is not mixed up with what the kernel says. */
function withNumberedVerdicts(filter: Buffer): Buffer {
  const numbered = Buffer.from(filter);
  const errnos = new Map([
    [0x7fff0000, 3000],
    [0x00050001, 3001],
    [0x00050026, 3002],
  ]);
  for (let at = 0; at < numbered.length; at += 8) {
    const errno = errnos.get(numbered.readUInt32LE(at + 4));
    if (numbered.readUInt16LE(at) === 0x06 && errno !== undefined) {
      numbered.writeUInt32LE(0x00050000 | errno, at + 4);
    }
  }
  return numbered;
}
