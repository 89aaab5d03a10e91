/** Ids that an ordinary user may use besides their own: subuid(5), subgid(5). Pure. */
import type { IdRange } from '../../sys/ids.ts';

/** Whose lines count: a file may name a user or give their number. */
export interface Owner {
  readonly name: string | undefined;
  readonly id: number;
}

const ID_MAX = 0xffff_fffe;
/** The kernel takes 340 lines; one is the user's own id. */
const RANGES_MAX = 339;
const FILE_BYTES_MAX = 1 << 20;

/**
 * The map of a namespace in which the user is 0 and the ranges of `text` follow from 1 on, in the file's order. Lines that
 * are not `who:start:count`, and ranges that hold the user's own id, or an id of an earlier range, are left out.
 */
export function subordinateMap(text: string, owner: Owner): IdRange[] {
  const map: IdRange[] = [{ inside: 0, outside: owner.id, count: 1 }];
  let inside = 1;
  for (const line of text.slice(0, FILE_BYTES_MAX).split('\n')) {
    const range = rangeOf(line, owner);
    if (range === undefined || map.some((other) => overlaps(other, range))) continue;
    const count = Math.min(range.count, ID_MAX + 1 - inside);
    if (count <= 0 || map.length > RANGES_MAX) break;
    map.push({ inside, outside: range.outside, count });
    inside += count;
  }
  return map;
}

function rangeOf(line: string, { name, id }: Owner): Omit<IdRange, 'inside'> | undefined {
  const [who, start, count, ...rest] = line.trim().split(':');
  if (who === undefined || start === undefined || count === undefined || rest.length > 0) return undefined;
  if (who !== String(id) && (name === undefined || who !== name)) return undefined;
  if (!/^\d{1,10}$/.test(start) || !/^\d{1,10}$/.test(count)) return undefined;
  const range = { outside: Number(start), count: Number(count) };
  return range.count > 0 && range.outside > 0 && range.outside + range.count - 1 <= ID_MAX ? range : undefined;
}

function overlaps(a: Omit<IdRange, 'inside'>, b: Omit<IdRange, 'inside'>): boolean {
  return a.outside < b.outside + b.count && b.outside < a.outside + a.count;
}
