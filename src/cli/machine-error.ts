/** What the machine refused to a call of node:fs, told as an error of ours: a disk that fails, or is full, is no bug of tsbuild. */
import { existsSync } from 'node:fs';
import { errorCodeOf, TsbuildError } from '../errors.ts';

/** errno's name → what it says of the machine. What a wrong call would get, too (ENOENT, EINVAL and such), is none of these. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['EIO', 'the disk fails'],
  ['EROFS', 'the file system is read-only'],
  ['ESTALE', 'the file system has lost the file'],
  ['ENXIO', 'the device is gone'],
  ['ENODEV', 'the device is gone'],
  ['EUCLEAN', 'the file system is damaged'],
  ['ESHUTDOWN', 'the file system is shut down'],
  ['ENOMEM', 'no memory is left'],
  ['EMFILE', 'too many files are open in this process'],
  ['ENFILE', 'too many files are open on this machine'],
  ['EAGAIN', 'the machine has no room for it now'],
  ['EINTR', 'a signal came between'],
  ['EBUSY', 'something else uses it'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'not permitted'],
  ['EFBIG', 'the file would be too large'],
  ['ETXTBSY', 'it is being executed'],
  ['ETIMEDOUT', 'the file system does not answer'],
]);

const HINTS: Readonly<Record<string, string>> = {
  EROFS: 'Make it writable; where the state directory is on it, name one that can be written to with --root.',
  EIO: 'Look at the messages of the kernel (dmesg), and name another disk with --root.',
  EMFILE: 'Raise the limit: ulimit -n.',
};

/** undefined for everything else. */
export function machineError(error: unknown): TsbuildError | undefined {
  if (error instanceof TsbuildError || !(error instanceof Error)) return undefined;
  const code = errorCodeOf(error);
  const { syscall, path } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return undefined;
  const surroundings = code === 'ENOENT' ? missingSurroundings(error, syscall, path) : undefined;
  if (surroundings !== undefined) return surroundings;
  const subject = `${syscall} ${path ?? 'a file'}`;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const reason = code === 'EDQUOT' ? 'the disk quota is used up' : 'the disk is full, or has no inode left';
    return new TsbuildError('NO_SPACE', `Cannot ${subject}: ${reason} (${code})`, { hint: SPACE_HINT, cause: error });
  }
  // The recursive mkdir of node:fs has only this to say of whatever was refused.
  const reason = code === 'ENOENT' && syscall === 'mkdir' ? 'the directory could not be made' : REASONS.get(code);
  if (reason === undefined) return undefined;
  return new TsbuildError('SYSCALL_FAILED', `Cannot ${subject}: ${reason} (${code})`, { hint: HINTS[code], cause: error });
}

/** What every process is thought to have. */
function missingSurroundings(cause: Error, syscall: string, path: string | undefined): TsbuildError | undefined {
  if (syscall === 'uv_cwd') {
    const hint = 'Change to a directory that is there (cd), and try again.';
    return new TsbuildError('SYSCALL_FAILED', 'Cannot tell the working directory: it has been removed (ENOENT)', { hint, cause });
  }
  if (path?.startsWith('/proc/') !== true || existsSync('/proc/self')) return undefined;
  const hint = 'Mount it (mount -t proc proc /proc), and try again.';
  return new TsbuildError('UNSUPPORTED_KERNEL', `Cannot read ${path}: no proc file system is mounted at /proc`, { hint, cause });
}

const SPACE_HINT = 'Free some space, remove images with tsbuild rmi, or name a directory on another disk with --root.';
