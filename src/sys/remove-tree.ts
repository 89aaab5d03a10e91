/** rm -rf by descriptors: no link is followed, no mount point entered, any depth. */
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import { renameAt, unlinkAt } from './entries.ts';
import { changeInodeFlags, FS_APPEND_FL, FS_IMMUTABLE_FL } from './inode-flags.ts';
import { setModeAt } from './metadata.ts';
import { openAt } from './open.ts';
import type { SortedNames } from './sorted-names.ts';
import { listDirectory, statAt } from './stat.ts';

/** Directories deeper than this are moved to the top first, so that descriptors and stack stay bounded. */
const DEPTH_MAX = 200;

interface Removal {
  readonly dev: bigint;
  readonly top: number;
  moved: number;
}

/**
 * Removes `name` and all that is in it; absent is fine, and so is another process that removes the same at the same time.
 * Throws EXDEV where something else is mounted inside.
 */
export function removeTree(dir: number, name: ByteString): void {
  const stat = statAt(dir, name);
  if (stat === undefined) return;
  if (stat.type !== 'directory') {
    unlinkIfThere(dir, name, 'file');
    return;
  }
  const top = openToEmpty(dir, name);
  if (top === undefined) return;
  try {
    const removal: Removal = { dev: stat.dev, top, moved: 0 };
    do {
      empty(removal, top, 0);
    } while (namesIn(top).length > 0);
  } finally {
    closeSync(top);
  }
  unlinkIfThere(dir, name, 'directory');
}

function empty(removal: Removal, fd: number, depth: number): void {
  for (const name of namesIn(fd)) {
    const stat = statAt(fd, name);
    if (stat === undefined) continue;
    if (stat.type !== 'directory') unlinkIfThere(fd, name, 'file');
    else if (stat.dev !== removal.dev) throw new SyscallError('remove', display(name), 'EXDEV');
    else if (depth >= DEPTH_MAX) renameAt(fd, name, removal.top, `.tsbuild-deep-${removal.moved++}` as ByteString, 'noreplace');
    else removeDirectory(removal, fd, { name, depth });
  }
}

function removeDirectory(removal: Removal, parent: number, at: { name: ByteString; depth: number }): void {
  const fd = openToEmpty(parent, at.name);
  if (fd === undefined) return;
  try {
    empty(removal, fd, at.depth + 1);
  } finally {
    closeSync(fd);
  }
  unlinkIfThere(parent, at.name, 'directory');
}

/** getdents64(2) of a directory that is removed already says ENOENT. */
function namesIn(fd: number): SortedNames {
  try {
    return listDirectory(fd);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function unlinkIfThere(dir: number, name: ByteString, what: 'file' | 'directory', unfixed = false): void {
  try {
    unlinkAt(dir, name, what);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    if (unfixed || !isErrno(error, 'EPERM') || !unfix(dir, name)) throw error;
    unlinkIfThere(dir, name, what, true);
  }
}

/** A step with all capabilities may make files and directories immutable or append-only; whether any such thing was undone. */
function unfix(dir: number, name: ByteString): boolean {
  const clear = FS_IMMUTABLE_FL | FS_APPEND_FL;
  const isFree = changeInodeFlags(dir, { clear });
  const type = statAt(dir, name)?.type;
  // Others cannot be either, and a device must not be opened.
  if (type !== 'file' && type !== 'directory') return isFree;
  const fd = openAt(dir, name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return changeInodeFlags(fd, { clear }) || isFree;
  } finally {
    closeSync(fd);
  }
}

/** An ordinary user cannot list a directory of mode 0, but may change the mode of their own. undefined: it is gone. */
function openToEmpty(dir: number, name: ByteString): number | undefined {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  try {
    return openAt(dir, name, flags);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (!isErrno(error, 'EACCES')) throw error;
    setModeAt(dir, name, 0o700);
    return openAt(dir, name, flags);
  }
}

function isErrno(error: unknown, errno: string): boolean {
  return error instanceof SyscallError && error.errno === errno;
}
