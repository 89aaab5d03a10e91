/**
 * Which control groups this process has made: one file each in the state directory, held by flock, with a path a line. A file
 * that can be locked belongs to nobody that lives; then its groups are empty or about to be, and the next command removes them.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { lockFile, lockNew } from '../../sys/lock.ts';

export interface CgroupRecord {
  /** Unguessable, and so nobody else's: a name for the groups, after `tsbuild-`. */
  readonly id: string;
  /** Before a group is made. */
  add(path: string): void;
  /** All groups are gone: so is the record. */
  remove(): void;
  /** Leaves what is still there to the next command. */
  abandon(): void;
}

const CGROUP_MAGIC: readonly number[] = [0x27e0eb, 0x63677270]; // linux/magic.h: cgroup, cgroup2
const OWN = /^tsbuild-[0-9a-f]{16}$/;
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A record without groups in `directory`, which is made where it is not there. */
export function openRecord(directory: string): CgroupRecord {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { id, path, fd } = lockNew(directory, () => {
    const id = randomBytes(8).toString('hex');
    const path = join(directory, id);
    return { id, path, fd: openSync(path, NEW, 0o600) };
  });
  return {
    id,
    add: (group) => void writeSync(fd, `${group}\n`),
    remove() {
      unlinkSync(path);
      closeSync(fd);
    },
    abandon: () => closeSync(fd),
  };
}

/** Removes the control groups of processes that have died. Costs one look at a directory where there are none. */
export function removeDeadCgroups(directory: string): void {
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) continue;
      throw error;
    }
    try {
      if (!lockFile(fd, 'exclusive', 'try')) continue;
      // Another command was faster: it let go of the lock when the file was gone.
      if (fstatSync(fd).nlink === 0) continue;
      const groups = readFileSync(fd, 'utf8').split('\n').slice(0, -1).reverse();
      if (groups.every(removeGroup)) unlinkSync(path);
    } finally {
      closeSync(fd);
    }
  }
}

/** Whether a command made the group for itself alone, and not as the parent that its caller named. */
export function isOwnGroup(path: string): boolean {
  return OWN.test(basename(path));
}

/**
 * With the groups that were made inside it; a parent only if it is empty, for what it holds is another command's. False while
 * somebody needs it; one that is not there, or no group, is removed already.
 */
export function removeGroup(path: string): boolean {
  return removeEmpty(path) || (isOwnGroup(path) && removeInner(path));
}

function removeEmpty(path: string): boolean {
  try {
    if (!CGROUP_MAGIC.includes(statfsSync(path).type)) return true;
    rmdirSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return true;
    if (!hasCode(error, 'EBUSY') && !hasCode(error, 'ENOTEMPTY')) throw error;
    return false;
  }
}

function removeInner(path: string): boolean {
  const inner = namesIn(path, 'directories').map((name) => join(path, name));
  if (inner.length === 0 || !inner.every((each) => removeEmpty(each) || removeInner(each))) return false;
  return removeEmpty(path);
}

function namesIn(directory: string, which: 'all' | 'directories' = 'all'): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => which === 'all' || entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
