/** A record by what a user calls it: its id, the beginning of that, or of its random end. */
import { isRecordId } from './record-directory.ts';

export type FoundRecord =
  | { readonly kind: 'found'; readonly id: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'several'; readonly ids: readonly string[] };

/** `ids`: the newest first. */
export function findRecord(ids: readonly string[], name: string): FoundRecord {
  if (isRecordId(name)) return ids.includes(name) ? { kind: 'found', id: name } : { kind: 'none' };
  const found = name === '' ? [] : ids.filter((id) => id.startsWith(name) || randomPart(id).startsWith(name));
  const [first, second] = found;
  if (first === undefined) return { kind: 'none' };
  return second === undefined ? { kind: 'found', id: first } : { kind: 'several', ids: found };
}

export function randomPart(id: string): string {
  return id.slice(id.lastIndexOf('-') + 1);
}
