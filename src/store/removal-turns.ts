/** When things may be removed: for moments, while no process can begin to use something. */
import { setTimeout } from 'node:timers/promises';
import { milliseconds } from '../clock.ts';
import { TsbuildError } from '../errors.ts';
import { lockFile, unlockFile } from '../sys/lock.ts';
import { openPinReader, type Pins } from './leases.ts';

export interface RemovalTurns {
  /**
   * Calls `work` under the exclusive lock, with what living processes use. Builds wait meanwhile: it looks at the clock, and goes on in
   * another turn. Throws STORE_INVALID where another process keeps the lock.
   */
  take<T>(work: (pins: Pins) => T): Promise<T>;
}

export interface RemovalOptions {
  readonly root: string;
  /** As `openLockFile` gives it, for this alone. */
  readonly lock: number;
  /** The name of the lease whose pins do not count: the caller's own. */
  readonly own: () => string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A part of the time that a build may be kept waiting. */
export const TURN_MS = 10;
const WAIT_MS = 2;
const PATIENCE_MS = 30_000;

export function openRemovalTurns({ root, lock, own, signal }: RemovalOptions): RemovalTurns {
  const pins = openPinReader(root, own);
  return {
    async take(work) {
      const giveUpAt = milliseconds() + PATIENCE_MS;
      for (;;) {
        signal?.throwIfAborted();
        // Nothing of this process runs between the lock and its end: a pin of ours would wait for it forever.
        if (lockFile(lock, 'exclusive')) {
          try {
            pins.refresh();
            return work(pins);
          } finally {
            unlockFile(lock);
          }
        }
        if (milliseconds() > giveUpAt) {
          throw new TsbuildError('STORE_INVALID', `Cannot remove anything from ${root}: another process keeps its lock`, {
            hint: 'A tsbuild of another version, or one that found the disk full, uses it: wait for its end.',
          });
        }
        await setTimeout(WAIT_MS, undefined, signal === undefined ? {} : { signal });
      }
    },
  };
}
