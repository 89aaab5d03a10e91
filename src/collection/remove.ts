/** Takes chosen items away while builds go on: each is looked at again in a turn in which nobody can begin to use it. */
import { closeSync, constants, existsSync, openSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { forgetLostDownloads } from '../cache/download-cache.ts';
import { milliseconds } from '../clock.ts';
import type { Digest } from '../oci/digest.ts';
import { openSnapshotChildren, removeSnapshot, type SnapshotChildren } from '../snapshots/committed-snapshots.ts';
import { openNeededBlobs, removeBlobRecords } from '../store/collect-garbage.ts';
import type { Pins } from '../store/leases.ts';
import type { Store } from '../store/open-store.ts';
import { TURN_MS } from '../store/removal-turns.ts';
import { openTrash, type Trash } from '../store/trash.ts';
import { lockFile } from '../sys/lock.ts';
import type { Collection } from './list-usage.ts';
import type { Place, UsageItem } from './usage-entry.ts';

/** In one turn. */
interface Turn {
  readonly root: string;
  readonly content: Store['unpinned']['content'];
  readonly pins: Pins;
  readonly needed: ReadonlySet<Digest>;
  readonly children: SnapshotChildren;
  readonly trash: Trash;
}

/** Returns those that are gone, in their order. `until`: a moment as milliseconds() tells it, after which nothing more goes. */
export async function removeItems(
  collection: Collection,
  items: readonly UsageItem[],
  until = Number.POSITIVE_INFINITY,
): Promise<UsageItem[]> {
  const { store, turns, signal } = collection;
  const { root, unpinned } = store;
  using trash = openTrash(root);
  const needed = openNeededBlobs(unpinned.content, unpinned.images);
  const children = openSnapshotChildren(root);
  // Read once outside of a turn: later it is little.
  needed.by([]);
  children.refresh();
  const removed: UsageItem[] = [];
  for (let next = 0; next < items.length && milliseconds() < until; ) {
    signal.throwIfAborted();
    next = await turns.take((pins) => {
      const turn: Turn = { root, content: unpinned.content, pins, needed: needed.by(pins.images), children, trash };
      children.refresh();
      return removeSome(turn, items, { next, removed });
    });
    trash.empty();
  }
  if (removed.length > 0) dropRecords(collection, removed);
  return removed;
}

/** Returns where to go on. */
function removeSome(turn: Turn, items: readonly UsageItem[], { next, removed }: { next: number; removed: UsageItem[] }): number {
  const until = milliseconds() + TURN_MS;
  let at = next;
  do {
    const item = items[at++];
    if (item?.place !== undefined && removePlace(turn, item.place)) removed.push(item);
  } while (at < items.length && milliseconds() < until);
  return at;
}

function removePlace(turn: Turn, place: Place): boolean {
  const { root, pins, needed, children, trash, content } = turn;
  switch (place.kind) {
    case 'blob':
      return !needed.has(place.digest) && !pins.has('blob', place.digest) && trash.take(content.path(place.digest));
    case 'snapshot':
      if (pins.has('snapshot', place.snapshot.name) || children.has(place.snapshot)) return false;
      if (!removeSnapshot(root, place.snapshot, trash.take)) return false;
      children.drop(place.snapshot);
      return true;
    case 'locked':
      return removeLocked(place.directory, trash);
    case 'file':
      return (place.pin === undefined || !pins.has('download', place.pin)) && trash.take(place.path);
  }
}

/** Whoever waits for its lock gets one of a file without a name, and makes a new directory. */
function removeLocked(directory: string, trash: Trash): boolean {
  const lock = path.join(directory, 'lock');
  if (!existsSync(lock)) return false;
  const fd = openSync(lock, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if (!lockFile(fd, 'exclusive') || !trash.take(directory)) return false;
    removeIfEmpty(path.dirname(directory));
    return true;
  } finally {
    closeSync(fd);
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

/** A record whose snapshot or blob is gone is a miss already: this gives its place back. */
function dropRecords({ store: { root, unpinned }, cache }: Collection, removed: readonly UsageItem[]): void {
  const gone = new Set(removed.flatMap(({ place }) => (place?.kind === 'snapshot' ? [place.snapshot.name] : [])));
  for (const [key, { snapshot }] of cache.steps.entries()) if (gone.has(snapshot)) cache.steps.remove(key);
  for (const [key, { snapshot = key, descriptor }] of cache.layers.entries()) {
    if (gone.has(snapshot) || !unpinned.content.has(descriptor.digest)) cache.layers.remove(key);
  }
  removeBlobRecords(root, unpinned.content);
  forgetLostDownloads(root);
}
