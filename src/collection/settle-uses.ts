/** Uses that are still to come, since the clock was ahead when they were noted: they would be the last to go until it is that late. */
import path from 'node:path';
import { INFO_FILE } from '../snapshots/snapshot-info.ts';
import type { Store } from '../store/open-store.ts';
import { markUsed } from '../sys/use-mark.ts';
import type { Place, UsageItem } from './usage-entry.ts';

/** Less is what clocks of machines that share a disk are apart. */
const NOTICED_MS = 3_600_000;

/** Notes them as uses of just now, in their order: whatever is used from now on is used later. Returns the items as they are then. */
export function settleUses(items: readonly UsageItem[], content: Store['unpinned']['content'], now: number): UsageItem[] {
  const ahead = items.filter(({ place, usedAt }) => place !== undefined && usedAt > now + NOTICED_MS).sort((a, b) => a.usedAt - b.usedAt);
  const settled = new Map(ahead.map((item, index) => [item, now - ahead.length + index]));
  for (const [{ place, usedAt }, at] of settled) if (place !== undefined) markUsed(markOf(place, content), { mtimeMs: usedAt }, at);
  return items.map((item) => ({ ...item, usedAt: settled.get(item) ?? item.usedAt }));
}

/** The file whose time is that of the last use. */
function markOf(place: Place, content: Store['unpinned']['content']): string {
  switch (place.kind) {
    case 'blob':
      return content.path(place.digest);
    case 'snapshot':
      return path.join(place.snapshot.directory, INFO_FILE);
    case 'locked':
      return path.join(place.directory, 'lock');
    case 'file':
      return place.path;
  }
}
