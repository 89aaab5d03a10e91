/** `--filter key=value,...`, and the flags that say the same. */
import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';
import type { PruneFilter } from '../index.ts';
import { csvFields } from './csv-flags.ts';
import { durationOf } from './duration-flag.ts';
import type { StorageFlags } from './storage-commands.ts';

/** What docker calls it → what it is here. */
const KEYS = new Map<string, 'type' | 'id' | 'description' | 'until' | 'shared' | 'inUse'>([
  ...(['type', 'id', 'description', 'until', 'shared'] as const).map((key) => [key, key] as const),
  ...(['inuse', 'in-use'] as const).map((key) => [key, 'inUse'] as const),
  ...(['unused-for', 'max-age', 'older-than'] as const).map((key) => [key, 'until'] as const),
]);

/** Of one key any value, of several keys all. The longest time counts. Throws USAGE. */
export function filterOf({ filter = [], maxAge, olderThan }: Pick<StorageFlags, 'filter' | 'maxAge' | 'olderThan'>): PruneFilter {
  const lists = { type: [] as string[], id: [] as string[], description: [] as string[] };
  const words: { shared?: boolean; inUse?: boolean } = {};
  const times = [ageOf('max-age', maxAge), ageOf('older-than', olderThan)];
  for (const [name, value = ''] of filter.flatMap((text) => csvFields('--filter', text))) {
    const field = `${name}=${value}`;
    const key = KEYS.get(name);
    if (key === undefined || value === '') throw refused(field);
    if (key === 'until') times.push(ageOf('filter until', value));
    else if (key === 'shared' || key === 'inUse') words[key] = booleanOf(field, value);
    else lists[key].push(value);
  }
  const given = times.filter((time) => time !== undefined);
  return {
    ...Object.fromEntries(Object.entries(lists).filter(([, values]) => values.length > 0)),
    ...words,
    ...(given.length === 0 ? {} : { unusedForMs: Math.max(...given) }),
  };
}

const DAY_HOURS = 24;

/** Days, too: they are what caches are counted in. */
function ageOf(flag: string, text: string | undefined): number | undefined {
  return durationOf(
    flag,
    text?.replace(/^(\d{1,5})d/, (_, days: string) => `${Number(days) * DAY_HOURS}h`),
  );
}

function booleanOf(field: string, value: string): boolean {
  const found = goBoolean(value);
  if (found === undefined) throw refused(field);
  return found;
}

function refused(field: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(field.slice(0, 100))} as --filter`, {
    hint: 'Filters are type=, id=, description=, until=48h, shared=true and inuse=false.',
  });
}
