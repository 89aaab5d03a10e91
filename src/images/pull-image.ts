/** A registry's image → the store: documents, layers, and the reference last. */
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { invalid } from '../oci/json-fields.ts';
import { CONFIG_BYTES_MAX } from '../oci/parse-config.ts';
import type { Platform } from '../oci/platform.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { MirrorError } from '../registry/mirrored.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import { RegistryError } from '../registry/registry-error.ts';
import { type Repository, repositoryName } from '../registry/repository.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import type { Store } from '../store/open-store.ts';
import { forEachLimited } from './for-each-limited.ts';
import { type Image, loadAnyImage, needPlatform } from './image.ts';
import { transferProgress } from './transfer-progress.ts';
import { type FetchAll, unpackArriving } from './unpack-arriving.ts';

export interface PullSession {
  readonly store: Pick<Store, 'content' | 'images' | 'origins'>;
  readonly registry: Pick<RegistryClient, 'resolve' | 'fetchBlob'>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const PARALLEL_BLOBS = 4;

/** What a reference is in its registry, or in the store: documents are here, layers perhaps not. */
export interface ResolvedImage {
  readonly image: Image;
  /** What the reference names: the manifest, or the index that leads to it. */
  readonly root: Descriptor;
  /** Whose repository has the layers. */
  readonly reference: Reference;
}

/** Fetches the image that the registry has for `platform` now and points `reference` to it. A failed pull changes no reference. */
export async function pullImage(session: PullSession, reference: Reference, platform: Platform): Promise<Image> {
  const resolved = await resolveImage(session, reference, platform);
  needPlatform(resolved.image, platform);
  return await nameImage(session, resolved);
}

/**
 * Asks the registry what `reference` is now and stores manifest and config of `platform`, with the indexes that led
 * there; no layer, and no reference moves. An image that comes in one platform only is taken for what it is.
 */
export async function resolveImage(session: PullSession, reference: Reference, platform: Platform): Promise<ResolvedImage> {
  const { store, registry, emit } = session;
  const { manifest, manifestBytes, descriptor, indexes, mirror } = await registry.resolve(reference, platform);
  const { config } = manifest;
  const name = formatReference(reference);
  const { size } = descriptor;
  if (mirror !== undefined) emit({ kind: 'transfer', action: 'pull', id: `${name} at ${mirror}`, bytes: size, total: size, state: 'done' });
  if (config.size > CONFIG_BYTES_MAX) invalid(`config ${config.digest} of ${name}`, `it is larger than ${CONFIG_BYTES_MAX} bytes`);
  await fetchBlob(session, reference, config);
  for (const { bytes } of indexes) await store.content.put(bytes);
  const stored = await store.content.put(manifestBytes);
  if (stored.digest !== descriptor.digest) throw new Error(`The registry client gave ${stored.digest} for ${descriptor.digest}`);
  return { image: await loadAnyImage(store, descriptor, platform), root: indexes[0]?.descriptor ?? descriptor, reference };
}

/** Fetches the layers that the store lacks and points the reference to what it named when it was resolved. `snapshots`: unpacks them, too. */
export async function nameImage(session: PullSession, { image, root, reference }: ResolvedImage, snapshots?: Snapshotter): Promise<Image> {
  await fetchLayers(session, { image, reference }, snapshots);
  const { store } = session;
  const { registry, repository } = reference;
  const digests = new Set([image.manifest.config, ...image.manifest.layers].map(({ digest }) => digest));
  await forEachLimited(digests, { limit: PARALLEL_BLOBS, signal: session.signal }, async (digest) => {
    await store.origins.add(digest, { registry, repository });
  });
  await store.images.set(formatReference(reference), root);
  return image;
}

/** Each layer once, verified; those that are there are not asked for. `snapshots`: unpacks them meanwhile, unless all are there. */
export async function fetchLayers(
  session: PullSession,
  { image, reference }: Pick<ResolvedImage, 'image' | 'reference'>,
  snapshots?: Snapshotter,
): Promise<void> {
  const { store, emit } = session;
  const layers = new Map(image.manifest.layers.map((layer) => [layer.digest, layer]));
  const fetchAll: FetchAll = async ({ signal }, arrived) =>
    await forEachLimited(layers.values(), { limit: PARALLEL_BLOBS, signal }, async (layer, either) => {
      await fetchBlob({ ...session, signal: either }, reference, layer);
      arrived(layer.digest);
    });
  const isWhole = [...layers.values()].every(({ digest, size }) => store.content.size(digest) === size);
  if (snapshots === undefined || isWhole) await fetchAll(session, () => {});
  else await unpackArriving({ store, snapshots, emit, signal: session.signal }, image, fetchAll);
}

/** Anything that can keep a blob; `origins`: where else one may be. */
export type BlobSession = Omit<PullSession, 'store'> & { readonly store: Pick<Store, 'content'> & Partial<Pick<Store, 'origins'>> };

/**
 * One blob into the store, verified, unless it is there. Again, where a mirror failed in the midst: the next place answers, and the
 * mirror is not asked any more. Where the repository does not give it, as that of an index which was made here, from where it is
 * known to be.
 */
export async function fetchBlob(session: BlobSession, reference: Reference, blob: Descriptor): Promise<void> {
  let others: Repository[] | undefined;
  for (let place: Repository = reference; ; ) {
    try {
      return await fetchOnce(session, place, blob);
    } catch (error) {
      if (error instanceof MirrorError) continue;
      if (!(error instanceof RegistryError)) throw error;
      others ??= session.store.origins?.get(blob.digest).filter((origin) => repositoryName(origin) !== repositoryName(reference)) ?? [];
      const next = others.shift();
      if (next === undefined) throw error;
      place = next;
    }
  }
}

async function fetchOnce({ store, registry, emit, signal }: BlobSession, repository: Repository, blob: Descriptor): Promise<void> {
  const progress = transferProgress(emit, { action: 'pull', id: blob.digest, total: blob.size });
  const isThere = store.content.size(blob.digest) === blob.size && (await store.content.health(blob.digest)) === 'sound';
  if (isThere) return progress.end('exists');
  await using ingest = await store.content.ingest({ size: blob.size });
  // The ingest checks the digest before the blob gets its name.
  for await (const chunk of registry.fetchBlob(repository, blob, 'by-caller')) {
    signal.throwIfAborted();
    progress.add(chunk.length);
    await ingest.take(chunk);
  }
  await ingest.commit({ digest: blob.digest, size: blob.size });
  progress.end('done');
}
