/** Asks the kernel what it would do, in a child that is gone afterwards: a syscall program that ends without an exec. */
import { closeSync, readSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';
import { makePipe } from './pipe.ts';
import { waitPidfd } from './process.ts';
import type { Operation } from './syscall-program.ts';
import { cloneProgram, engineAvailable } from './syscall-program-engine.ts';

/** What came of it: `refused` names the call and its errno. `untried` where this machine cannot run our machine code. */
export type Attempt =
  | { readonly outcome: 'works' }
  | { readonly outcome: 'refused'; readonly what: string; readonly errno: string }
  | { readonly outcome: 'untried' };

const MESSAGE_BYTES = 12;

/** Walks `program` in a child of its own with new namespaces (CLONE_NEW* flags). Nothing of it stays but files that it made. */
export async function tryProgram(
  program: readonly Operation[],
  namespaces: number,
  inputs: ReadonlyMap<string, number> = new Map(),
): Promise<Attempt> {
  if (!engineAvailable()) return { outcome: 'untried' };
  const pipe = makePipe();
  let theirs: number | undefined = pipe.write;
  try {
    const pidfd = cloneProgram(program, { namespaces, mode: 'copy-memory', inputs, statusFd: pipe.write });
    closeSync(pipe.write);
    theirs = undefined;
    const end = await waitPidfd(pidfd);
    return attemptOf(pipe.read, program, end.signal);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    const { cause } = error;
    const errno = 'errno' in error ? error.errno : cause instanceof Error && 'errno' in cause ? cause.errno : error.code;
    return { outcome: 'refused', what: 'clone3', errno: String(errno) };
  } finally {
    closeSync(pipe.read);
    if (theirs !== undefined) closeSync(theirs);
  }
}

function attemptOf(fd: number, program: readonly Operation[], signal: string | undefined): Attempt {
  const message = Buffer.alloc(MESSAGE_BYTES);
  if (readSync(fd, message) === MESSAGE_BYTES) {
    const operation = program[message.readInt32LE(4)];
    return { outcome: 'refused', what: operation?.syscall ?? 'a call', errno: errnoName(message.readInt32LE(8)) };
  }
  // A seccomp filter may kill who makes a call.
  return signal === undefined ? { outcome: 'works' } : { outcome: 'refused', what: 'a call', errno: signal };
}

/** Calls that tsbuild needs, with arguments that no kernel takes: one that has them says EINVAL, EBADF or EFAULT. Numbers: asm-generic/unistd.h. */
const CALLS = {
  clone3: [435, 0, 0, 0, 0],
  close_range: [436, 1, 0, 0, 0],
  openat2: [437, -1, 0, 0, 0],
  pidfd_open: [434, -1, 0, 0, 0],
  pidfd_send_signal: [424, -1, 0, 0, 0],
} as const;

export type ProbedCall = keyof typeof CALLS;
export const PROBED_CALLS = Object.keys(CALLS) as readonly ProbedCall[];

const syscall = bind('long syscall(long number, long a, long b, long c, long d)');

/** `ENOSYS` or `EPERM` where the kernel, or a filter above it, does not let this process make the call at all. */
export function refusedCall(name: ProbedCall): string | undefined {
  const errno = errnoName(-Math.min(0, invoke(syscall, ...CALLS[name])));
  return errno === 'ENOSYS' || errno === 'EPERM' ? errno : undefined;
}
