/** Counts bytes and tells of them at a bearable rate. */

import { milliseconds } from '../clock.ts';
import type { Emit, TransferEvent } from '../events.ts';

export interface TransferProgress {
  add(bytes: number): void;
  /** The transfer starts over. */
  restart(): void;
  end(state: Exclude<TransferEvent['state'], 'running'>): void;
}

const INTERVAL_MS = 100;

export function transferProgress(emit: Emit, what: Pick<TransferEvent, 'action' | 'id' | 'total'>): TransferProgress {
  let bytes = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    add(count) {
      bytes += count;
      const now = milliseconds();
      if (now - last < INTERVAL_MS) return;
      last = now;
      emit({ kind: 'transfer', ...what, bytes, state: 'running' });
    },
    restart() {
      bytes = 0;
    },
    end(state) {
      emit({ kind: 'transfer', ...what, bytes: state === 'done' ? bytes : 0, state });
    },
  };
}
