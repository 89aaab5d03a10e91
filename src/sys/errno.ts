/** Error numbers by name, and how a failed call of libc becomes a SyscallError. */
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { SyscallError, TsbuildError } from '../errors.ts';
import { type ByteString, display, toBuffer } from '../tree/byte-string.ts';
import { lastErrno } from './libc.ts';

/** Numbers that Node's own table lacks; the same on x86-64 and arm64 (asm-generic/errno.h). */
const MORE_NAMES: readonly (readonly [string, number])[] = [
  ['ENOTBLK', 15],
  ['EUCLEAN', 117],
  ['EREMOTEIO', 121],
  ['ENOKEY', 126],
  ['EKEYREJECTED', 129],
];

let names: Map<number, string> | undefined;

/** `2` is `ENOENT`; a number without a name is `errno 999`. */
export function errnoName(errno: number): string {
  names ??= namesByNumber();
  return names.get(errno) ?? `errno ${errno}`;
}

/**
 * Calls a function of libc as the kernel speaks: its result, or minus errno. A call that a signal interrupted is made
 * again (signal(7)).
 */
export function invoke(call: (...args: unknown[]) => unknown, ...args: unknown[]): number {
  for (;;) {
    const result = Number(call(...args));
    if (result !== -1) return result;
    const errno = lastErrno();
    if (errno !== constants.errno.EINTR) return -errno;
  }
}

/** The error for a negative result of `invoke` on `name` in the directory `dir`. */
export function failure(syscall: string, dir: number, name: ByteString, result: number): SyscallError {
  return new SyscallError(syscall, describePlace(dir, name), errnoName(-result));
}

/** The same for an errno's name, as Node's own errors carry it. */
export function failureByName(syscall: string, fd: number, errno: string): SyscallError {
  return new SyscallError(syscall, describePlace(fd, '' as ByteString), errno);
}

/** More than any call takes, so that one argument never overwrites another of the same call. */
const SCRATCH_BUFFERS = 4;
const SCRATCH_BYTES = 4096;
const scratch = Array.from({ length: SCRATCH_BUFFERS }, () => Buffer.alloc(SCRATCH_BYTES));
let scratchAt = 0;

/** A name as a C string, for the very next synchronous call: its bytes are used again for later names. */
export function cString(name: ByteString): Buffer {
  if (name.includes('\0')) throw new TsbuildError('PATH_ESCAPE', `Cannot use the name ${display(name)}: it contains a NUL byte`);
  if (name.length >= SCRATCH_BYTES) return toBuffer(`${name}\0` as ByteString);
  scratchAt = (scratchAt + 1) % SCRATCH_BUFFERS;
  const buffer = scratch[scratchAt] ?? Buffer.alloc(SCRATCH_BYTES);
  buffer[buffer.write(name, 0, 'latin1')] = 0;
  return buffer;
}

/** For messages: the directory's path as the kernel knows it, and the name. */
export function describePlace(dir: number, name: ByteString): string {
  if (name.startsWith('/') || dir < 0) return display(name);
  let directory = `<${dir}>` as ByteString;
  try {
    directory = readlinkSync(`/proc/self/fd/${dir}`, 'latin1') as ByteString;
  } catch {
    // No /proc, or the descriptor is closed: its number has to do.
  }
  return name === '' ? display(directory) : `${display(directory)}/${display(name)}`;
}

function namesByNumber(): Map<number, string> {
  const table = new Map<number, string>(MORE_NAMES.map(([name, number]) => [number, name]));
  for (const [name, number] of Object.entries(constants.errno)) if (!table.has(number)) table.set(number, name);
  return table;
}
