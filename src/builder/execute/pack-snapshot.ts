/** Layer blobs in the store: a snapshot's changes, or a base image's layer compressed anew; each form made once, and remembered. */

import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { LayerRecord } from '../../cache/build-cache.ts';
import { layerRecordKey } from '../../cache/layer-record-key.ts';
import { milliseconds } from '../../clock.ts';
import { TsbuildError } from '../../errors.ts';
import type { ImageFormat } from '../../images/image-format.ts';
import { compressionTypeOf } from '../../images/layer-type.ts';
import { type Compression, GZIP } from '../../layers/compress.ts';
import { decompress } from '../../layers/decompress.ts';
import { layerLimits } from '../../layers/layer-limits.ts';
import { tellLosses } from '../../layers/lost-attributes.ts';
import { overlayDiff } from '../../layers/overlay-diff.ts';
import { type PackedLayer, packArchive, packLayer } from '../../layers/pack-layer.ts';
import { observe } from '../../layers/read-layer.ts';
import { hexOf } from '../../oci/digest.ts';
import type { Ingest } from '../../store/ingest.ts';
import { type LayerSource, snapshotOf } from './files.ts';
import type { BuildResources } from './resources.ts';

/** Milliseconds between two progress events of one layer. */
const PROGRESS_MS = 100;

/** What a layer's bytes depend on, beside its files. */
export interface Packing {
  readonly compression: Compression;
  /** Seconds since 1970. */
  readonly clampTimeSeconds: number | undefined;
}

export function packingOf({ compression, rewriteTimestamp, sourceDateEpoch }: ImageFormat): Packing {
  return { compression, clampTimeSeconds: rewriteTimestamp ? sourceDateEpoch : undefined };
}

type SnapshotSource = Pick<LayerSource & { kind: 'snapshot' }, 'name' | 'packed'>;

/** Layer bytes depend on the files and the packing alone, so a record stays true; a blob that is gone is packed again. */
export async function packSnapshot(resources: BuildResources, source: SnapshotSource, packing: Packing): Promise<LayerRecord> {
  return await once(resources, layerRecordKey(source.name, formOf(packing)), async () => {
    // It was packed in another form elsewhere.
    if (source.packed !== undefined) await snapshotOf(resources, source.packed);
    const createdAt = resources.snapshots.get(source.name)?.createdAt;
    return { ...(await pack(resources, source.name, packing)), snapshot: source.name, createdAt };
  });
}

/** A layer of a base image under another compression; as it is where it has that already. */
export async function recompress(resources: BuildResources, layer: LayerRecord, compression: Compression): Promise<LayerRecord> {
  const { descriptor, diffId } = layer;
  if (compressionTypeOf(descriptor) === compression.type) return layer;
  const key = layerRecordKey(hexOf(descriptor.digest), `blob ${formOf({ compression, clampTimeSeconds: undefined })}`);
  return await once(resources, key, async () => {
    const hash = createHash('sha256');
    const plain = decompress(resources.store.content.stream(descriptor.digest));
    const archive = observe(plain, { maxBytes: layerLimits().maxBytes, see: (chunk) => hash.update(chunk) });
    return await write(resources, descriptor.digest, async (sink, options) => {
      const packed = await packArchive(archive, sink, { ...options, compression });
      const found = `sha256:${hash.digest('hex')}`;
      if (found === diffId) return packed;
      throw new TsbuildError('DIGEST_MISMATCH', `Cannot compress layer ${descriptor.digest}: expected diffID ${diffId}, found ${found}`);
    });
  });
}

/** A form for each way to pack; that of records since the beginning is none. */
export function formOf({ compression: { type, level }, clampTimeSeconds }: Packing): string {
  const isPlain = type === GZIP.type && level === GZIP.level && clampTimeSeconds === undefined;
  return isPlain ? '' : `${type} ${level} ${clampTimeSeconds ?? 'as they are'}`;
}

/** While later steps run: a layer that the image will have. What goes wrong is said when the image is assembled. */
export function packAhead(resources: BuildResources, layer: SnapshotSource): void {
  const { jobs, packings } = resources.options;
  if (jobs.most === 1) return;
  for (const packing of packings) packSnapshot(resources, layer, packing).catch(() => {});
}

/** The record that is known, where its blob is sound; else that of `make`. */
export async function once(resources: BuildResources, key: string, make: () => Promise<LayerRecord>): Promise<LayerRecord> {
  const { cache, store, packing, emit } = resources;
  const known = cache.layers.get(key);
  const health = known === undefined ? 'absent' : await store.content.health(known.descriptor.digest);
  if (known !== undefined && health === 'sound') return known;
  if (health === 'damaged')
    emit({ kind: 'warning', message: `The disk has changed layer ${known?.descriptor.digest}: it is packed again` });
  return await packing.once(key, async () => {
    const record = await make();
    cache.layers.set(key, record);
    return record;
  });
}

async function pack(resources: BuildResources, name: string, packing: Packing): Promise<LayerRecord> {
  const { emit, snapshots } = resources;
  const snapshot = snapshots.get(name);
  if (snapshot === undefined) throw new Error(`No snapshot ${name}`);
  await snapshots.check(name);
  using lower = snapshots.tree(snapshot.parent);
  const upperFd = snapshots.upper(name);
  const losses = { emit, of: `layer ${name.slice(0, 12)}` };
  try {
    return await write(resources, name.slice(0, 12), (sink, options) =>
      packLayer(tellLosses(overlayDiff(upperFd, lower), losses), sink, { ...options, ...packing }),
    );
  } finally {
    closeSync(upperFd);
  }
}

type Pack = (sink: Ingest, options: PackOptions) => Promise<PackedLayer>;

interface PackOptions {
  readonly signal: AbortSignal;
  onProgress(bytes: number): void;
}

/** Into the store, with progress under the name `id`. */
async function write(resources: BuildResources, id: string, packInto: Pack): Promise<LayerRecord> {
  await using ingest = await resources.store.content.ingest();
  return await commitLayer(resources, id, { ingest, packed: await packInto(ingest, packOptions(resources, id)) });
}

/** Tells of the progress under the name `id`. */
export function packOptions({ emit, signal }: BuildResources, id: string): PackOptions {
  let toldAt = 0;
  const onProgress = (bytes: number) => {
    if (milliseconds() - toldAt < PROGRESS_MS) return;
    toldAt = milliseconds();
    emit({ kind: 'transfer', action: 'pack', id, bytes, total: undefined, state: 'running' });
  };
  return { signal, onProgress };
}

export async function commitLayer(
  { emit }: BuildResources,
  id: string,
  { ingest, packed }: { readonly ingest: Ingest; readonly packed: PackedLayer },
): Promise<LayerRecord> {
  const { diffId, size, mediaType, annotations, tarSize } = packed;
  const { digest } = await ingest.commit({ size });
  emit({ kind: 'transfer', action: 'pack', id, bytes: tarSize, total: tarSize, state: 'done' });
  return { diffId, descriptor: { mediaType, digest, size, ...(annotations === undefined ? {} : { annotations }) } };
}
