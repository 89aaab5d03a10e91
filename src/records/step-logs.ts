/** What steps wrote, in files `log-<n>`: gathered in memory for a moment, and bounded on the disk. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretMask } from './secret-mask.ts';

/** Steps' output is bounded before it comes here, unless the caller wants it without end. */
export const STEP_BYTES_MAX = 4 << 20;
export const ALL_BYTES_MAX = 64 << 20;
const GATHERED_MAX = 256 << 10;
const CUT = '\n[log clipped: a build record keeps no more]\n';

export interface StepLogs {
  add(step: number, data: Uint8Array): void;
  /** Writes what has been gathered: all of a step that has ended, or of all steps. */
  flush(ended?: number | 'all'): void;
}

interface Log {
  gathered: Buffer[];
  size: number;
  state: 'open' | 'cut';
}

export function openStepLogs(directory: string, mask: SecretMask): StepLogs {
  const logs = new Map<number, Log>();
  let gathered = 0;
  let all = 0;
  const write = (step: number, log: Log, how: 'whole' | 'so far'): void => {
    const bytes = mask.apply(Buffer.concat(log.gathered));
    const ready = how === 'whole' ? bytes.length : Math.max(0, bytes.length - mask.holdBack);
    log.gathered = ready === bytes.length ? [] : [Buffer.from(bytes.subarray(ready))];
    if (ready > 0) appendFileSync(join(directory, `log-${step}`), bytes.subarray(0, ready), { mode: 0o600 });
  };
  return {
    add(step, data) {
      const log = logs.get(step) ?? { gathered: [], size: 0, state: 'open' as const };
      logs.set(step, log);
      if (log.state === 'cut') return;
      const left = Math.min(STEP_BYTES_MAX - log.size, ALL_BYTES_MAX - all);
      const kept = Buffer.from(data.subarray(0, Math.max(0, left)));
      log.gathered.push(kept);
      log.size += kept.length;
      all += kept.length;
      gathered += kept.length;
      if (kept.length < data.length) {
        log.state = 'cut';
        log.gathered.push(Buffer.from(CUT));
      }
      if (gathered > GATHERED_MAX) this.flush();
    },
    flush(ended) {
      for (const [step, log] of logs) if (log.gathered.length > 0) write(step, log, ended === 'all' || step === ended ? 'whole' : 'so far');
      gathered = 0;
    },
  };
}
