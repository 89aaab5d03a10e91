/** A registry's image → the store: blobs first, the reference last. */
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { invalid } from '../oci/json-fields.ts';
import { CONFIG_BYTES_MAX } from '../oci/parse-config.ts';
import { parseManifestDocument } from '../oci/parse-manifest.ts';
import type { Platform } from '../oci/platform.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import type { Store } from '../store/open-store.ts';
import { forEachLimited } from './for-each-limited.ts';
import { type Image, loadImage } from './image.ts';
import { transferProgress } from './transfer-progress.ts';

export interface PullSession {
  readonly store: Pick<Store, 'content' | 'images' | 'origins'>;
  readonly registry: Pick<RegistryClient, 'resolve' | 'fetchBlob'>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const PARALLEL_BLOBS = 4;

/**
 * Asks the registry what `reference` is now, fetches what the store lacks and points the reference to the manifest of
 * `platform`. Each byte is verified before the reference moves; a failed pull changes no reference.
 */
export async function pullImage(session: PullSession, reference: Reference, platform: Platform): Promise<Image> {
  const { store, registry, emit, signal } = session;
  const { manifestBytes, descriptor } = await registry.resolve(reference, platform);
  const name = formatReference(reference);
  const document = parseManifestDocument(manifestBytes, descriptor.mediaType, `manifest ${descriptor.digest} of ${name}`);
  if (document.kind === 'index') return invalid(`index ${descriptor.digest} of ${name}`, 'a manifest was asked for');
  const { config, layers } = document.manifest;
  if (config.size > CONFIG_BYTES_MAX) invalid(`config ${config.digest} of ${name}`, `it is larger than ${CONFIG_BYTES_MAX} bytes`);
  const blobs = new Map([config, ...layers].map((blob) => [blob.digest, blob]));
  await forEachLimited(blobs.values(), { limit: PARALLEL_BLOBS, signal }, (blob, either) =>
    fetchBlob({ store, registry, emit, signal: either }, reference, blob),
  );
  const stored = await store.content.put(manifestBytes);
  if (stored.digest !== descriptor.digest) throw new Error(`The registry client gave ${stored.digest} for ${descriptor.digest}`);
  const image = await loadImage(store, descriptor, platform);
  const { registry: host, repository } = reference;
  for (const { digest } of blobs.values()) await store.origins.add(digest, { registry: host, repository });
  await store.images.set(name, image.descriptor);
  return image;
}

async function fetchBlob({ store, registry, emit, signal }: PullSession, reference: Reference, blob: Descriptor): Promise<void> {
  const progress = transferProgress(emit, { action: 'pull', id: blob.digest, total: blob.size });
  if (store.content.size(blob.digest) === blob.size) return progress.end('exists');
  await using ingest = await store.content.ingest({ size: blob.size });
  for await (const chunk of registry.fetchBlob(reference, blob)) {
    signal.throwIfAborted();
    await ingest.write(chunk);
    progress.add(chunk.length);
  }
  await ingest.commit({ digest: blob.digest, size: blob.size });
  progress.end('done');
}
