/** The lock of a cache mount: flock(2), with others or alone. */
import { waitForLock } from '../sys/lock.ts';

/** `shared`: with others that share; `locked`: alone, after waiting; `private`: alone, in a directory that nobody uses. */
export type CacheSharing = 'shared' | 'private' | 'locked';

export interface Waiting {
  readonly signal: AbortSignal;
  /** Called once when it has waited for a second. */
  onWait(): void;
}

const SECOND_MS = 1000;

/** Rejects as `signal` says. */
export async function lockOrSay(fd: number, sharing: CacheSharing, waiting: Waiting): Promise<void> {
  await sayIfLong(waiting, async () => await waitForLock(fd, sharing === 'shared' ? 'shared' : 'exclusive', waiting.signal));
}

/** true where it did `work`; false, and perhaps without a lock, where somebody else made it needless first. */
export async function alone(fd: number, waiting: Waiting & { isNeedless(): boolean }, work: () => Promise<void>): Promise<boolean> {
  // flock(2): a conversion lets go first, so that of two who share one gets it.
  const isAlone = await sayIfLong(waiting, async () => await waitForLock(fd, 'exclusive', waiting.signal, () => waiting.isNeedless()));
  if (isAlone) await work();
  return isAlone;
}

async function sayIfLong<T>({ onWait }: Waiting, wait: () => Promise<T>): Promise<T> {
  const timer = setTimeout(onWait, SECOND_MS);
  try {
    return await wait();
  } finally {
    clearTimeout(timer);
  }
}
