/** The locks of the snapshot directory. A lock dies with its process, so that a crash leaves none. */
import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { insist, type LockKind, lockFile, lockNew, unlockFile } from '../sys/lock.ts';

/** Disposing it frees the lock; twice is fine. */
export type HeldLock = Disposable;

const LOCK = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** Undefined where another process is in the way. */
export function tryLock(path: string, how: LockKind): HeldLock | undefined {
  const fd = openSync(path, LOCK, 0o600);
  try {
    if (lockFile(fd, how, 'try')) return holdLock(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** A new directory in `parent`, and its lock. */
export function makeLocked(parent: string, newName: () => string): { readonly name: string; readonly lock: HeldLock } {
  const { name, fd } = lockNew(parent, () => {
    const name = newName();
    mkdirSync(join(parent, name), { mode: 0o700 });
    return { name, fd: openSync(join(parent, name, 'lock'), LOCK, 0o600) };
  });
  return { name, lock: holdLock(fd) };
}

/** Waits in place: for locks that are held for the few calls that make or name a directory. */
export function lockBriefly(path: string, how: LockKind): HeldLock {
  const lock = insist(() => tryLock(path, how), { everyMs: 2, patienceMs: 30_000 });
  if (lock !== undefined) return lock;
  throw new TsbuildError('STORE_INVALID', `Cannot lock ${path}: another process has held it for 30 seconds`);
}

function holdLock(fd: number): HeldLock {
  let isHeld = true;
  return {
    [Symbol.dispose]: () => {
      if (!isHeld) return;
      isHeld = false;
      // A step that is being started has a copy of the descriptor until it executes its command: closing ours alone would leave the lock to it.
      unlockFile(fd);
      closeSync(fd);
    },
  };
}
