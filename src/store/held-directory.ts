/**
 * Directories that belong to a process as long as it lives, `PARENT/RANDOM/` under flock(2): one that can be locked belongs to nobody,
 * and the next command removes it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { lockFile, lockNew } from '../sys/lock.ts';
import { isCode } from './error-code.ts';
import { makePrivateDirectory } from './state-directory.ts';

export interface HeldDirectory {
  readonly path: string;
  /** Closing it gives the directory up. */
  readonly fd: number;
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A new one. */
export function holdDirectory(parent: string): HeldDirectory {
  return lockNew(parent, () => {
    const path = join(parent, randomBytes(8).toString('hex'));
    const fd = makeDirectory(path);
    return fd === undefined ? undefined : { path, fd };
  });
}

/** Calls `remove` where nobody that lives holds the directory; false where there is none. */
export function removeUnheld(path: string, remove: (path: string) => void): boolean {
  const fd = openIfThere(path);
  if (fd === undefined) return false;
  try {
    if (lockFile(fd, 'exclusive')) remove(path);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Open; undefined where it has gone before that. */
function makeDirectory(path: string): number | undefined {
  try {
    makePrivateDirectory(path);
  } catch (error) {
    if (isCode(error, 'ENOENT') && existsSync(dirname(path))) return undefined;
    throw error;
  }
  return openIfThere(path);
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, DIRECTORY);
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
