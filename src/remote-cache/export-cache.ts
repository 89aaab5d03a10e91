/** Records and layers → a remote cache: blobs first, the manifest last. */
import { forEachLimited } from '../images/for-each-limited.ts';
import { transferProgress } from '../images/transfer-progress.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { once } from './bytes.ts';
import { encodeCache, LAYERS_MAX } from './cache-manifest.ts';
import { type CacheTarget, shownPlace } from './cache-place.ts';
import type { CacheRecords } from './cache-records.ts';
import type { CacheCarrier, CacheSession } from './carrier.ts';
import { openCarrier } from './open-carrier.ts';

/** The bytes of a blob, which may have to be fetched first; undefined where they cannot be had. */
export type OpenLayer = (blob: Descriptor) => Promise<AsyncIterable<Buffer> | undefined>;

const PARALLEL_BLOBS = 4;

/** `open` is asked only for what is not there. When this rejects, readers find the cache that was there before. */
export async function exportCache(
  session: CacheSession,
  target: Exclude<CacheTarget, { type: 'inline' }>,
  { records, open }: { readonly records: CacheRecords; readonly open: OpenLayer },
): Promise<void> {
  const name = shownPlace(target);
  const kept = withinLimits(session, records, name);
  const carrier = await openCarrier(session, target);
  try {
    const blobs = new Map(
      [...kept.steps.flatMap(({ layer }) => layer?.descriptor ?? []), ...kept.mounts.map(({ descriptor }) => descriptor)].map((one) => [
        one.digest,
        one,
      ]),
    );
    const limit = ('uploadParallelism' in target ? target.uploadParallelism : undefined) ?? PARALLEL_BLOBS;
    const missing = new Set<string>();
    await forEachLimited(blobs.values(), { limit, signal: session.signal }, async (blob) => {
      if ((await writeBlob(session, carrier, { blob, open })) === 'missing') missing.add(blob.digest);
    });
    if (missing.size > 0) {
      const message = `Left ${missing.size} layers out of the cache ${name}: the cache that they are in does not give them`;
      session.emit({ kind: 'warning', message });
    }
    const whole = without(kept, missing);
    const { manifest, documents } = encodeCache(whole);
    for (const { descriptor, bytes } of documents) await carrier.writeBlob(descriptor, () => once(bytes));
    await carrier.commit(manifest);
    const bytes = [...blobs.values()].reduce((sum, { digest, size }) => sum + (missing.has(digest) ? 0 : size), manifest.bytes.length);
    session.emit({ kind: 'cache', action: 'exported', name, steps: whole.steps.length, mounts: whole.mounts.length, bytes });
  } finally {
    await carrier.close();
  }
}

/** Registries take a manifest of 4 MiB, and readers a thousand descriptors. */
function withinLimits({ emit }: CacheSession, { steps, mounts }: CacheRecords, name: string): CacheRecords {
  const digests = [...new Set(steps.flatMap(({ layer }) => layer?.descriptor.digest ?? []))];
  const most = LAYERS_MAX - mounts.length;
  if (digests.length <= most) return { steps, mounts };
  emit({
    kind: 'warning',
    message: `Left ${digests.length - most} of ${digests.length} layers out of the cache ${name}: it holds ${LAYERS_MAX}`,
  });
  return without({ steps, mounts }, new Set(digests.slice(most)));
}

/** Steps stay, for their keys. */
function without({ steps, mounts }: CacheRecords, left: ReadonlySet<string>): CacheRecords {
  return {
    steps: steps.map((step) => (left.has(step.layer?.descriptor.digest ?? '') ? { ...step, layer: undefined } : step)),
    mounts: mounts.filter(({ descriptor }) => !left.has(descriptor.digest)),
  };
}

async function writeBlob(
  { emit }: CacheSession,
  carrier: CacheCarrier,
  { blob, open }: { readonly blob: Descriptor; readonly open: OpenLayer },
): Promise<'missing' | 'there'> {
  const progress = transferProgress(emit, { action: 'push', id: blob.digest, total: blob.size });
  if (await carrier.hasBlob(blob)) {
    progress.end('exists');
    return 'there';
  }
  if ((await open(blob)) === undefined) return 'missing';
  async function* bytes(): AsyncGenerator<Buffer> {
    progress.restart();
    for await (const chunk of (await open(blob)) ?? []) {
      yield chunk;
      progress.add(chunk.length);
    }
  }
  const outcome = await carrier.writeBlob(blob, bytes);
  progress.end(outcome === 'pushed' ? 'done' : outcome);
  return 'there';
}
