/** Descriptors of files and directories: openat(2), openat2(2). Every descriptor is close-on-exec; the caller closes it. */
import { closeSync, constants } from 'node:fs';
import { SyscallError, TsbuildError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import { cString, failure, invoke } from './errno.ts';
import { bind } from './libc.ts';

/** As `dir`: names are relative to the current directory. */
export const AT_FDCWD = -100;

/** Flags that node:fs does not name; the same on x86-64 and arm64 (asm-generic/fcntl.h). */
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;

const CREATE_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const RESOLVE_IN_ROOT = 0x10;
const OPENAT2 = 437;
const EAGAIN = 11;
const EEXIST = 17;
const ENOSYS = 38;
/** A concurrent rename makes `..` fail with EAGAIN; so often in a row is no coincidence (openat2(2)). */
const ATTEMPTS_MAX = 100;
/** PATH_MAX is 4096 with the NUL; longer paths are opened in parts. */
const PART_BYTES_MAX = 3000;

const openat = bind('int openat(int dirfd, const uint8_t *path, int flags, uint32_t mode)');
const openat2 = bind('long syscall(long nr, int dirfd, const uint8_t *path, const uint8_t *how, size_t size)');

/** A directory by its absolute path, or relative to the current directory. Links are followed. */
export function openDirectory(path: ByteString): number {
  return openAt(AT_FDCWD, path, constants.O_RDONLY | constants.O_DIRECTORY);
}

/** openat(2). `mode` (less the umask) counts with O_CREAT only. */
export function openAt(dir: number, name: ByteString, flags: number, mode = 0): number {
  const result = invoke(openat, dir, cString(name === '' ? ('.' as ByteString) : name), flags | O_CLOEXEC, mode);
  if (result < 0) throw failure('open', dir, name, result);
  return result;
}

/**
 * Makes a regular file and opens it for writing; undefined where the name exists, be it a link. `mode` is less the umask and
 * less what the directory's default ACL takes.
 */
export function createAt(dir: number, name: ByteString, mode: number): number | undefined {
  const result = invoke(openat, dir, cString(name), CREATE_FILE | O_CLOEXEC, mode);
  if (result === -EEXIST) return undefined;
  if (result < 0) throw failure('make the file', dir, name, result);
  return result;
}

/** Opens a path as a process would whose root is `root`: links and `..` are followed and end inside. */
export function openInRoot(root: number, path: ByteString, flags: number): number {
  return openResolved(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/** Opens a clean path below `root`; any symbolic link on the way is an error (ELOOP). Works for paths beyond PATH_MAX. */
export function openBeneath(root: number, path: ByteString, flags: number): number {
  const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  if (path.length <= PART_BYTES_MAX) return openResolved(root, path, flags, resolve);
  const cut = path.lastIndexOf('/', PART_BYTES_MAX);
  if (cut <= 0) throw new SyscallError('open', display(path), 'ENAMETOOLONG');
  const part = openResolved(root, path.slice(0, cut) as ByteString, O_PATH | constants.O_DIRECTORY, resolve);
  try {
    return openBeneath(part, path.slice(cut + 1) as ByteString, flags);
  } finally {
    closeSync(part);
  }
}

function openResolved(root: number, path: ByteString, flags: number, resolve: number): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt((flags | O_CLOEXEC) >>> 0), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  const name = cString(path === '' ? ('.' as ByteString) : path);
  let result = -EAGAIN;
  for (let attempt = 0; result === -EAGAIN && attempt < ATTEMPTS_MAX; attempt++) {
    result = invoke(openat2, OPENAT2, root, name, how, how.length);
  }
  if (result === -ENOSYS) throw new TsbuildError('UNSUPPORTED_KERNEL', 'Cannot open files inside a root: openat2 needs Linux 5.6');
  if (result < 0) throw failure('open', root, path, result);
  return result;
}
