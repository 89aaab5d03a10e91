/** The locks of the snapshot directory. A lock dies with its process, so that a crash leaves none. */
import { closeSync, constants, openSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { type LockKind, lockFile } from '../sys/lock.ts';

const WAIT_MS = 2;
const WAITS_MAX = 15_000;

/** Disposing it frees the lock; twice is fine. */
export type HeldLock = Disposable;

/** Undefined where another process is in the way. */
export function tryLock(path: string, how: LockKind): HeldLock | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (lockFile(fd, how, 'try')) return holdLock(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** Waits in place: for locks that are held for the few calls that make or name a directory. */
export function lockBriefly(path: string, how: LockKind): HeldLock {
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    const lock = tryLock(path, how);
    if (lock !== undefined) return lock;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  }
  throw new TsbuildError('STORE_INVALID', `Cannot lock ${path}: another process has held it for 30 seconds`);
}

function holdLock(fd: number): HeldLock {
  let isHeld = true;
  return {
    [Symbol.dispose]: () => {
      if (isHeld) closeSync(fd);
      isHeld = false;
    },
  };
}
