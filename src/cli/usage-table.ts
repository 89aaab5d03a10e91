/** Entries of the state directory as rows. */
import type { UsageEntry } from '../index.ts';
import { formatAge, formatSize } from '../text/quantities.ts';

export const HEADINGS = ['ID', 'TYPE', 'SIZE', 'LAST USED', 'RECLAIMABLE', 'DESCRIPTION'];

const DESCRIPTION_CHARACTERS_MAX = 70;

export function entryRow(entry: UsageEntry): string[] {
  const { id, kind, bytes, usedAt, reclaimable, description } = entry;
  const shown = oneLine(description).slice(0, DESCRIPTION_CHARACTERS_MAX);
  return [shortId(id), kind, formatSize(bytes), formatAge(Date.now() - usedAt), String(reclaimable), shown];
}

export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').replace(/^([a-f0-9]{12})[a-f0-9]{52}/, '$1');
}

/** Text of Dockerfiles: nothing in it moves the cursor. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
}
