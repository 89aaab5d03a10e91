/** The records of remote caches, read before steps run; layers come when they are needed. A cache that is broken is none, with one warning. */
import type { CacheKey } from '../cache/cache-key.ts';
import type { PortableMount } from '../cache/portable-mount.ts';
import type { PortableStep, StepImports } from '../cache/portable-step.ts';
import { TsbuildError } from '../errors.ts';
import { transferProgress } from '../images/transfer-progress.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { readRecords } from './cache-manifest.ts';
import { type CacheSource, shownPlace } from './cache-place.ts';
import type { CacheCarrier, CacheSession } from './carrier.ts';
import { openCarrier } from './open-carrier.ts';

export interface CacheImports extends StepImports, AsyncDisposable {}

interface ImportedCache {
  readonly name: string;
  readonly carrier: CacheCarrier;
  readonly steps: Map<CacheKey, PortableStep>;
  readonly mounts: Map<string, PortableMount>;
  readonly digests: Set<Digest>;
  isTrusted: boolean;
}

/** What ends the build, and is not the cache's fault. */
const FATAL: ReadonlySet<string> = new Set(
  ['INTERRUPTED', 'TIMEOUT', 'NO_SPACE', 'USAGE', 'REFERENCE_INVALID'].map((name) => `ERR_TSBUILD_${name}`),
);
const LAYER_BYTES_MAX = 128 * 2 ** 30;

/** Earlier sources win. */
export async function importCaches(session: CacheSession, sources: readonly CacheSource[]): Promise<CacheImports> {
  const read = await Promise.all(sources.map((source) => readCache(session, source)));
  const caches = read.flatMap((cache) => cache ?? []);
  const fetches = new Map<Digest, Promise<void>>();
  return {
    find(key, parent) {
      for (const cache of caches) {
        const step = cache.isTrusted ? cache.steps.get(key) : undefined;
        if (step === undefined) continue;
        if (step.parent === parent) return { step, from: cache.name };
        // Its own key holds another parent.
        cache.isTrusted = false;
        session.emit({ kind: 'warning', message: `Going on without the cache ${cache.name}: a record contradicts itself` });
      }
      return undefined;
    },
    mount(name) {
      for (const cache of caches) {
        const mount = cache.isTrusted ? cache.mounts.get(name) : undefined;
        if (mount !== undefined) return { mount, from: cache.name };
      }
      return undefined;
    },
    async fetch(layer, signal) {
      const running =
        fetches.get(layer.digest) ?? fetchLayer({ ...session, signal }, caches, layer).finally(() => fetches.delete(layer.digest));
      fetches.set(layer.digest, running);
      await running;
    },
    distrust(layer) {
      const bad = caches.filter(({ digests, isTrusted }) => isTrusted && digests.has(layer.digest));
      for (const cache of bad) cache.isTrusted = false;
      return bad[0]?.name;
    },
    async [Symbol.asyncDispose]() {
      for (const { carrier } of caches) await carrier.close();
    },
  };
}

async function readCache(session: CacheSession, source: CacheSource): Promise<ImportedCache | undefined> {
  const name = shownPlace(source);
  let carrier: CacheCarrier | undefined;
  try {
    carrier = await openCarrier(session, source);
    return await readFrom(session, { source, name, carrier });
  } catch (error) {
    await carrier?.close();
    if (session.signal.aborted || !(error instanceof TsbuildError) || FATAL.has(error.code)) throw error;
    session.emit({ kind: 'warning', message: `Building without the cache ${name}: ${error.message}` });
    return undefined;
  }
}

async function readFrom(
  { emit }: CacheSession,
  { source, name, carrier }: { readonly source: CacheSource; readonly name: string; readonly carrier: CacheCarrier },
): Promise<ImportedCache> {
  const cache = { name, carrier, steps: new Map(), mounts: new Map(), digests: new Set<Digest>(), isTrusted: true } as const;
  let isOurs = false;
  let bytes = 0;
  for (const manifest of await carrier.readManifests()) {
    bytes += manifest.length;
    const records = await readRecords(carrier, manifest);
    isOurs ||= records !== undefined;
    for (const step of records?.steps ?? []) if (!cache.steps.has(step.key)) cache.steps.set(step.key, step);
    for (const mount of source.mounts === true ? (records?.mounts ?? []) : []) cache.mounts.set(mount.name, mount);
  }
  for (const { layer } of cache.steps.values()) if (layer !== undefined) cache.digests.add(layer.descriptor.digest);
  for (const { descriptor } of cache.mounts.values()) cache.digests.add(descriptor.digest);
  const found = { name, steps: cache.steps.size, mounts: cache.mounts.size, bytes };
  emit({ kind: 'cache', action: isOurs ? 'imported' : 'missing', ...found });
  return { ...cache };
}

async function fetchLayer(session: CacheSession, caches: readonly ImportedCache[], layer: Descriptor): Promise<void> {
  const { store } = session;
  if (store.content.size(layer.digest) === layer.size) return;
  if (layer.size > LAYER_BYTES_MAX) throw new TsbuildError('IMAGE_INVALID', `Cannot use layer ${layer.digest}: ${layer.size} bytes`);
  const sources = caches.filter(({ digests, isTrusted }) => isTrusted && digests.has(layer.digest));
  let failure: unknown = new TsbuildError('CACHE_FAILED', `Cannot use layer ${layer.digest}: no cache has it`);
  for (const { carrier } of sources) {
    try {
      return await fetchFrom(session, carrier, layer);
    } catch (error) {
      if (session.signal.aborted || !(error instanceof TsbuildError) || FATAL.has(error.code)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function fetchFrom({ store, emit, signal }: CacheSession, carrier: CacheCarrier, layer: Descriptor): Promise<void> {
  const progress = transferProgress(emit, { action: 'pull', id: layer.digest, total: layer.size });
  await using ingest = await store.content.ingest({ size: layer.size });
  for await (const chunk of carrier.readBlob(layer)) {
    signal.throwIfAborted();
    await ingest.write(chunk);
    progress.add(chunk.length);
  }
  await ingest.commit({ digest: layer.digest, size: layer.size });
  progress.end('done');
}
