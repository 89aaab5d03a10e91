/** An image of the store → a registry. Source: OCI distribution-spec "Push". */
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { forEachLimited } from '../images/for-each-limited.ts';
import { imageSize } from '../images/image-size.ts';
import { transferProgress } from '../images/transfer-progress.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import { RegistryError } from '../registry/registry-error.ts';
import type { Store } from '../store/open-store.ts';

export interface PushSession {
  readonly store: Pick<Store, 'content' | 'origins'>;
  readonly registry: Pick<RegistryClient, 'pushBlob' | 'pushManifest' | 'fetchBlob'>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const PARALLEL_BLOBS = 4;
const INDEX_DEPTH_MAX = 8;
/** What a registry says to a manifest whose blobs it does not have, though it said it did. */
const BLOB_MISSING: ReadonlySet<string> = new Set(['MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN']);

/**
 * Pushes the manifest or index and all it needs, and names it `reference`. What names comes after what is named: layers,
 * config, manifest, index. Each blob is asked for in the repositories where it is known to be before it is sent.
 */
export async function pushImage(session: PushSession, descriptor: Descriptor, reference: Reference): Promise<void> {
  if (reference.digest !== undefined && reference.digest !== descriptor.digest) {
    throw new TsbuildError('REFERENCE_INVALID', `Cannot push ${descriptor.digest} as ${formatReference(reference)}: the digests differ`, {
      hint: 'Push to a tag.',
    });
  }
  const { registry, repository, tag } = reference;
  // Where both are given, the tag is what the registry is to learn.
  const target: Reference = { registry, repository, ...(tag === undefined ? { digest: descriptor.digest } : { tag }) };
  const parts = await collectParts(session, descriptor, { parts: { layers: [], configs: [], documents: [], seen: new Set() }, depth: 0 });
  const push = async (): Promise<void> => {
    await pushBlobs(session, target, [...parts.layers, ...parts.configs]);
    for (const document of parts.documents)
      await putDocument(session, document, document === descriptor ? target : byDigest(target, document));
  };
  await push().catch((error: unknown) => (isBlobMissing(error) ? push() : Promise.reject(error)));
  const size = imageSize(session.store, descriptor);
  session.emit({ kind: 'image', action: 'pushed', digest: descriptor.digest, names: [formatReference(target)], size });
}

interface Parts {
  readonly layers: Descriptor[];
  readonly configs: Descriptor[];
  /** What is named before what names it. */
  readonly documents: Descriptor[];
  readonly seen: Set<Digest>;
}

/** Each document is looked at once, however many indexes name it. */
async function collectParts(
  session: PushSession,
  descriptor: Descriptor,
  { parts, depth }: { parts: Parts; depth: number },
): Promise<Parts> {
  if (parts.seen.has(descriptor.digest)) return parts;
  parts.seen.add(descriptor.digest);
  const document = parseManifestDocument(await readDocument(session, descriptor), descriptor.mediaType, `manifest ${descriptor.digest}`);
  if (document.kind === 'manifest') {
    parts.layers.push(...document.manifest.layers);
    parts.configs.push(document.manifest.config);
  } else {
    if (depth >= INDEX_DEPTH_MAX) {
      throw new TsbuildError('IMAGE_INVALID', `Cannot push ${descriptor.digest}: indexes nest deeper than ${INDEX_DEPTH_MAX}`);
    }
    for (const child of document.index.manifests) await collectParts(session, child, { parts, depth: depth + 1 });
  }
  parts.documents.push(descriptor);
  return parts;
}

async function readDocument({ store }: PushSession, { digest }: Descriptor): Promise<Buffer> {
  return await store.content.read(digest, { maxBytes: MANIFEST_BYTES_MAX });
}

function byDigest({ registry, repository }: Reference, { digest }: Descriptor): Reference {
  return { registry, repository, digest };
}

/** A client that was told this does not believe the registry's "I have it" a second time. */
function isBlobMissing(error: unknown): boolean {
  return error instanceof RegistryError && error.codes.some((code) => BLOB_MISSING.has(code));
}

async function putDocument(session: PushSession, document: Descriptor, reference: Reference): Promise<void> {
  session.signal.throwIfAborted();
  const { digest: expected, mediaType } = document;
  const found = await session.registry.pushManifest(reference, await readDocument(session, document), mediaType);
  if (found === expected) return;
  throw new TsbuildError('DIGEST_MISMATCH', `Cannot push manifest to ${formatReference(reference)}: expected ${expected}, found ${found}`);
}

async function pushBlobs(
  { store, registry, emit, signal }: PushSession,
  reference: Reference,
  blobs: readonly Descriptor[],
): Promise<void> {
  const once = new Map(blobs.map((blob) => [blob.digest, blob])).values();
  await forEachLimited(once, { limit: PARALLEL_BLOBS, signal }, (blob, either) =>
    pushBlob({ store, registry, emit, signal: either }, reference, blob),
  );
}

async function pushBlob({ store, registry, emit, signal }: PushSession, reference: Reference, blob: Descriptor): Promise<void> {
  const { registry: host, repository } = reference;
  const progress = transferProgress(emit, { action: 'push', id: blob.digest, total: blob.size });
  const candidates = store.origins.get(blob.digest).filter((origin) => origin.registry === host && origin.repository !== repository);
  /** Opened anew for each attempt. */
  async function* open(): AsyncGenerator<Buffer> {
    progress.restart();
    for await (const chunk of bytesOf({ store, registry }, blob)) {
      signal.throwIfAborted();
      yield chunk;
      progress.add(chunk.length);
    }
  }
  const mountFrom = candidates.map((origin) => origin.repository);
  const result = await registry.pushBlob(reference, blob, open, mountFrom);
  await store.origins.add(blob.digest, { registry: host, repository });
  progress.end(result === 'pushed' ? 'done' : result);
}

/** Out of the store, else out of a repository where the blob is known to be: what is only passed on is never kept. */
async function* bytesOf({ store, registry }: Pick<PushSession, 'store' | 'registry'>, blob: Descriptor): AsyncGenerator<Buffer> {
  const origins = store.content.size(blob.digest) === blob.size ? [] : store.origins.get(blob.digest);
  for (const [position, origin] of origins.entries()) {
    let begun = false;
    try {
      for await (const chunk of registry.fetchBlob(origin, blob)) {
        begun = true;
        yield chunk;
      }
      return;
    } catch (error) {
      if (begun || !(error instanceof RegistryError) || position === origins.length - 1) throw error;
    }
  }
  yield* store.content.stream(blob.digest);
}
