/** A snapshot's changes as a layer blob in the store: packed once, remembered by the snapshot's name. */

import { closeSync } from 'node:fs';
import type { LayerRecord } from '../../cache/build-cache.ts';
import { overlayDiff } from '../../layers/overlay-diff.ts';
import { packLayer } from '../../layers/pack-layer.ts';
import type { BuildResources } from './resources.ts';

/** Milliseconds between two progress events of one layer. */
const PROGRESS_MS = 100;

/** Layer bytes depend on the files alone, so a record stays true; a blob that is gone is packed again. */
export async function packSnapshot(resources: BuildResources, name: string): Promise<LayerRecord> {
  const { cache, store } = resources;
  const known = cache.layers.get(name);
  if (known !== undefined && store.content.has(known.descriptor.digest)) return known;
  const record = await pack(resources, name);
  cache.layers.set(name, record);
  return record;
}

async function pack({ emit, signal, snapshots, store }: BuildResources, name: string): Promise<LayerRecord> {
  const snapshot = snapshots.get(name);
  if (snapshot === undefined) throw new Error(`No snapshot ${name}`);
  using lower = snapshots.tree(snapshot.parent);
  const upperFd = snapshots.upper(name);
  try {
    await using ingest = await store.content.ingest();
    let toldAt = 0;
    const onProgress = (bytes: number) => {
      if (performance.now() - toldAt < PROGRESS_MS) return;
      toldAt = performance.now();
      emit({ kind: 'transfer', action: 'pack', id: name.slice(0, 12), bytes, total: undefined, state: 'running' });
    };
    const packed = await packLayer(overlayDiff(upperFd, lower), ingest, { compression: 'gzip', signal, onProgress });
    await ingest.commit({ digest: packed.digest, size: packed.size });
    emit({ kind: 'transfer', action: 'pack', id: name.slice(0, 12), bytes: packed.tarSize, total: packed.tarSize, state: 'done' });
    return { diffId: packed.diffId, descriptor: { mediaType: packed.mediaType, digest: packed.digest, size: packed.size } };
  } finally {
    closeSync(upperFd);
  }
}
