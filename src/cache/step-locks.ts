/**
 * One process makes a step, others wait for its result: `cache/running/<key>`, a file under flock(2). The lock dies with its process.
 * Whoever holds one holds it for that step alone, and takes no other meanwhile: so no two processes can wait for each other.
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { isStillNamed, lockFile, waitForLock } from '../sys/lock.ts';
import type { CacheKey } from './cache-key.ts';

export interface StepLocks {
  /** Waits for whoever makes the step; `onWait` is called where somebody does, after a second. Rejects as `signal` says. */
  take(key: CacheKey, waiting: { readonly signal: AbortSignal; onWait(): void }): Promise<Disposable>;
}

const SECOND_MS = 1000;

/** In the state directory `root`. Removes what killed processes left. */
export function openStepLocks(root: string): StepLocks {
  const directory = path.join(root, 'cache', 'running');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeLeftovers(directory);
  return {
    async take(key, { signal, onWait }) {
      if (!/^[a-f0-9]{64}$/.test(key)) throw new Error(`Not a key: ${key}`);
      const file = path.join(directory, key);
      const timer = setTimeout(onWait, SECOND_MS);
      try {
        for (;;) {
          const fd = openLock(file);
          if (await locked(fd, file, signal)) return { [Symbol.dispose]: () => release(fd, file) };
        }
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function openLock(file: string): number {
  return openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

/** false, and closed, where the file was removed meanwhile: others lock a new one by now. */
async function locked(fd: number, file: string, signal: AbortSignal): Promise<boolean> {
  try {
    await waitForLock(fd, 'exclusive', signal);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  if (isStillNamed(fd, file)) return true;
  closeSync(fd);
  return false;
}

/** The name goes while the lock is held: who waits for it sees that, and asks again. */
function release(fd: number, file: string): void {
  unlinkSync(file);
  closeSync(fd);
}

/** Removes what killed processes left, where nobody else is about to open the locks. */
export function removeDeadStepLocks(root: string): void {
  const directory = path.join(root, 'cache', 'running');
  if (existsSync(directory)) removeLeftovers(directory);
}

function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    const fd = openLock(file);
    if (lockFile(fd, 'exclusive') && isStillNamed(fd, file)) release(fd, file);
    else closeSync(fd);
  }
}
