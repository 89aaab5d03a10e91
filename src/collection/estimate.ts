/** How much may stay, and whether somebody has to look: all that is asked after each build. */
import { TsbuildError } from '../errors.ts';
import { parseSize } from '../text/quantities.ts';

const DAY_MS = 24 * 3_600_000;
const GIB = 2 ** 30;
const KEPT_MIN = 2 * GIB;
const KEPT_SHARE = 0.1;

/** A tenth of the disk, and at least 2 GiB. */
export function defaultBudget(diskBytes: number): number {
  return Math.max(KEPT_MIN, Math.floor(diskBytes * KEPT_SHARE));
}

/** What is known without looking. */
export interface Estimate {
  /** Of the cache, as it was measured, and what disks have filled up by since. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly measuredAt: number;
  /** On which builds wrote something, the latest last (age.ts); milliseconds since the epoch. */
  readonly days: readonly number[];
}

/** Old things go by their age, too: so somebody has to look now and then. */
export function isDue({ bytes, measuredAt }: Pick<Estimate, 'bytes' | 'measuredAt'>, budget: number, now: number): boolean {
  return bytes > budget || Math.abs(now - measuredAt) > DAY_MS;
}

/** `TSBUILD_KEEP_STORAGE`, such as `20GB`, with units of 1024 as docker reads them. Throws USAGE. */
export function budgetOf(text: string | undefined, diskBytes: number): number {
  if (text === undefined || text === '') return defaultBudget(diskBytes);
  const size = parseSize(text);
  if (size !== undefined) return size;
  throw new TsbuildError(
    'USAGE',
    `Cannot keep ${JSON.stringify(text.slice(0, 100))} of storage: TSBUILD_KEEP_STORAGE is a size such as 20GB`,
  );
}
