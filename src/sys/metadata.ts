/** Owner, mode and times of one name, never following a link. '' as the name is the descriptor itself, O_PATH or not. */
import { type ByteString, toBuffer } from '../tree/byte-string.ts';
import { cString, describePlace, failure, invoke } from './errno.ts';
import { idScope, missingIds } from './ids.ts';
import { bind } from './libc.ts';
import { recordOwner } from './recorded-facts.ts';

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const FCHMODAT2 = 452;
const EINVAL = 22;
const ENOSYS = 38;
const O_PATH_NOFOLLOW_CLOEXEC = 0o12000000 | (process.arch === 'arm64' ? 0o100000 : 0o400000);
const NANOSECONDS = 1_000_000_000n;

const fchownat = bind('int fchownat(int dirfd, const uint8_t *path, uint32_t uid, uint32_t gid, int flags)');
const fchmodat2 = bind('long syscall(long nr, int dirfd, const uint8_t *path, uint32_t mode, int flags)');
const chmod = bind('int chmod(const uint8_t *path, uint32_t mode)');
const openat = bind('int openat(int dirfd, const uint8_t *path, int flags, uint32_t mode)');
const close = bind('int close(int fd)');
const utimensat = bind('int utimensat(int dirfd, const uint8_t *path, const uint8_t *times, int flags)');
const syncfs = bind('int syncfs(int fd)');

let hasFchmodat2 = true;
/** Two struct timespec, filled for each call. Both architectures are little-endian. */
const timeFields = new BigInt64Array(4);
const times = Buffer.from(timeFields.buffer);

/**
 * Clears setuid, setgid and file capabilities where the kernel does: set the mode after it. Where the user namespace has
 * one id, the owner is recorded; throws PRIVILEGE where it has others, and not these.
 */
export function setOwnerAt(dir: number, name: ByteString, uid: number, gid: number): void {
  if (idScope() === 'one') {
    recordOwner(dir, name, { uid, gid });
    return;
  }
  const result = invoke(fchownat, dir, cString(name), uid, gid, flagsFor(name));
  const missing = result === -EINVAL ? missingIds(describePlace(dir, name), { uid, gid }) : undefined;
  if (missing !== undefined) throw missing;
  if (result < 0) throw failure(`change the owner to ${uid}:${gid} of`, dir, name, result);
}

/** `mode` is 0 to 0o7777 and set exactly. Symbolic links have no mode: EOPNOTSUPP (as ENOTSUP). */
export function setModeAt(dir: number, name: ByteString, mode: number): void {
  let result = hasFchmodat2 ? invoke(fchmodat2, FCHMODAT2, dir, cString(name), mode, flagsFor(name)) : -ENOSYS;
  if (result === -ENOSYS) {
    hasFchmodat2 = false; // Linux before 6.6
    result = setModeByProc(dir, name, mode);
  }
  if (result < 0) throw failure(`change the mode to ${mode.toString(8)} of`, dir, name, result);
}

/** Sets mtime, and atime to the same. */
export function setTimesAt(dir: number, name: ByteString, mtimeNs: bigint): void {
  const remainder = mtimeNs % NANOSECONDS;
  const nanoseconds = remainder < 0n ? remainder + NANOSECONDS : remainder;
  const seconds = (mtimeNs - nanoseconds) / NANOSECONDS;
  timeFields[0] = seconds;
  timeFields[1] = nanoseconds;
  timeFields[2] = seconds;
  timeFields[3] = nanoseconds;
  const result = invoke(utimensat, dir, cString(name), times, flagsFor(name));
  if (result < 0) throw failure('change the times of', dir, name, result);
}

/** Writes everything of the file system that holds `fd` to the disk: syncfs(2). */
export function syncFileSystem(fd: number): void {
  const result = invoke(syncfs, fd);
  if (result < 0) throw failure('sync the file system of', fd, '' as ByteString, result);
}

function flagsFor(name: ByteString): number {
  return AT_SYMLINK_NOFOLLOW | (name === '' ? AT_EMPTY_PATH : 0);
}

/** The magic link of an O_PATH descriptor leads to that very inode, and a symbolic link there refuses its mode. */
function setModeByProc(dir: number, name: ByteString, mode: number): number {
  const fd = name === '' ? dir : invoke(openat, dir, cString(name), O_PATH_NOFOLLOW_CLOEXEC, 0);
  if (fd < 0) return fd;
  try {
    return invoke(chmod, toBuffer(`/proc/self/fd/${fd}\0` as ByteString), mode);
  } finally {
    if (fd !== dir) close(fd);
  }
}
