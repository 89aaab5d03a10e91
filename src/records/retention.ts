/** How many records are kept, and for how long. They are looked through when a build begins. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { idsOf, idTime, lifeOf, lockDirectory, namesIn, PINNED, recordsIn, removeFlat, removeRecord } from './record-directory.ts';

export interface Retention {
  readonly most: number;
  readonly maxAgeMs: number;
}

const HOUR = 3_600_000;
const STANDARD: Retention = { most: 50, maxAgeMs: 48 * HOUR };
/** What is left where there are too many. */
const KEPT_SHARE = 0.9;
const UNITS: Readonly<Record<string, number>> = { h: HOUR, d: 24 * HOUR };

/** What `TSBUILD_BUILD_RECORDS` says: `off`, a number of records, an age such as `7d` or `12h`, or both with a comma. Throws USAGE. */
export function retentionOf(text: string | undefined): Retention | 'off' {
  if (text === undefined || text === '') return STANDARD;
  if (text === 'off') return 'off';
  let kept = STANDARD;
  for (const word of text.split(',')) {
    const match = /^([1-9]\d{0,5})([hd]?)$/.exec(word.trim());
    if (match === null) {
      throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 100))} as TSBUILD_BUILD_RECORDS`, {
        hint: 'It is off, a number of records, an age such as 7d or 12h, or both: 200,7d.',
      });
    }
    const unit = UNITS[match[2] ?? ''];
    kept = unit === undefined ? { ...kept, most: Number(match[1]) } : { ...kept, maxAgeMs: Number(match[1]) * unit };
  }
  return kept;
}

/** Removes what is too old or too many; never what runs or is pinned. `coming`: how many there will soon be more. */
export function sweepRecords(root: string, { most, maxAgeMs }: Retention, { now, coming }: { now: Date; coming: number }): void {
  const names = namesIn(recordsIn(root));
  const ids = idsOf(names);
  const oldest = idTime(new Date(now.getTime() - maxAgeMs));
  const isFull = ids.length + coming > most;
  // Several at once, so that it is not to be done in each build.
  const kept = isFull ? Math.min(most - coming, Math.ceil(most * KEPT_SHARE)) : ids.length;
  const surplus = ids.filter((id, position) => position >= kept || id < oldest);
  for (const id of surplus) {
    const directory = join(recordsIn(root), id);
    if (!existsSync(join(directory, PINNED)) && lifeOf(directory) !== 'running') removeRecord(root, id);
  }
  sweepUnfinished(root, names);
}

/** What a crash left. Where others make records at this moment it waits for another time. */
function sweepUnfinished(root: string, names: readonly string[]): void {
  const unfinished = names.filter((name) => /^\.(?:new|gone)-/.test(name));
  if (unfinished.length === 0) return;
  using alone = lockDirectory(recordsIn(root), 'exclusive');
  if (alone === undefined) return;
  for (const name of unfinished) removeFlat(join(recordsIn(root), name));
}
