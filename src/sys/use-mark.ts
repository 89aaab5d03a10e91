/** When something was last used: the time of a file of it, set at most once an hour. It decides what is removed first, and what is old. */
import { type Stats, utimesSync } from 'node:fs';

const HOUR_MS = 3_600_000;
const HARMLESS = new Set(['ENOENT', 'EPERM', 'EACCES', 'EROFS', 'ENOSPC', 'EDQUOT']);

/** `now`: milliseconds since the epoch. */
export function markUsed(path: string, { mtimeMs }: Pick<Stats, 'mtimeMs'>, now = Date.now()): void {
  if (Math.abs(now - mtimeMs) < HOUR_MS) return;
  try {
    utimesSync(path, now / 1000, now / 1000);
  } catch (error) {
    // It is only a mark.
    if (!HARMLESS.has(String((error as NodeJS.ErrnoException).code))) throw error;
  }
}
