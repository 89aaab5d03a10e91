/** Everything that takes space in a state directory, and the sizes of what was not measured before. */
import { lstatSync } from 'node:fs';
import path from 'node:path';
import type { BuildCache } from '../cache/build-cache.ts';
import { milliseconds } from '../clock.ts';
import { knownSize, recordSize } from '../snapshots/committed-snapshots.ts';
import type { Store } from '../store/open-store.ts';
import type { RemovalTurns } from '../store/removal-turns.ts';
import { diskBytes } from '../sys/disk-bytes.ts';
import { blobUsage, imagesOfBlobs, pinnedBlobs } from './blob-usage.ts';
import { cacheUsage, namesIn } from './cache-usage.ts';
import { snapshotUsage, unpackedLayers } from './snapshot-usage.ts';
import type { UsageItem } from './usage-entry.ts';

export interface Collection {
  readonly store: Pick<Store, 'root' | 'unpinned'>;
  readonly cache: Pick<BuildCache, 'steps' | 'layers'>;
  readonly turns: RemovalTurns;
  readonly signal: AbortSignal;
}

/** `until`: a moment as milliseconds() tells it, after which nothing more is measured: what is left counts as what it was, or nothing. */
export async function listUsage({ store, cache, turns, signal }: Collection, until = Number.POSITIVE_INFINITY): Promise<UsageItem[]> {
  // Read before the pins: what is used since then is pinned.
  const steps = cache.steps.entries();
  const layers = cache.layers.entries();
  const pins = await turns.take((found) => found);
  const images = imagesOfBlobs(store);
  const unpacked = await unpackedLayers(store);
  const snapshots = snapshotUsage(store.root, { pins, steps, layers, images, unpacked });
  return [
    ...blobUsage(store, { pins, layers, images, pinned: pinnedBlobs(store, pins) }),
    ...(await measured(snapshots, until, signal)),
    ...(await cacheUsage({ root: store.root, pins, signal, until })),
  ];
}

async function measured(items: readonly UsageItem[], until: number, signal: AbortSignal): Promise<UsageItem[]> {
  const found: UsageItem[] = [];
  for (const item of items) found.push(milliseconds() > until ? item : { ...item, bytes: await measure(item, signal) });
  return found;
}

async function measure({ place, bytes }: UsageItem, signal: AbortSignal): Promise<number> {
  if (place?.kind !== 'snapshot') return bytes;
  const known = knownSize(place.snapshot);
  if (known !== undefined) return known;
  const size = await ownBytes(place.snapshot.directory, signal);
  if (size > 0) recordSize(place.snapshot, size);
  return size;
}

/** Of all but the merged view (`flat`), which is names of files that are others'. */
async function ownBytes(directory: string, signal: AbortSignal): Promise<number> {
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  let bytes = (stat?.blocks ?? 0) * 512;
  for (const name of namesIn(directory)) if (name !== 'flat') bytes += await diskBytes(path.join(directory, name), signal);
  return bytes;
}
