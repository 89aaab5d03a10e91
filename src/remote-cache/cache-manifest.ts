/**
 * A cache as an image manifest, as BuildKit writes it with `image-manifest=true`: the config is BuildKit's cache config, layers are layers, and the
 * last one holds our records. BuildKit's own records are there as well, with our keys; it reads them, and never asks for one of them.
 * Source: moby/buildkit cache/remotecache/v1 (spec.go, doc.go). The other place of records is the config of an image (`inline`).
 */
import type { PortableStep } from '../cache/portable-step.ts';
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE, plainDescriptor } from '../oci/descriptor.ts';
import { digestOf, hexOf } from '../oci/digest.ts';
import { isConfigType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { parseStrictJson } from '../oci/strict-json.ts';
import { type CacheRecords, checkRecords, encodeRecords, INLINE_FIELD, parseRecords, RECORDS_BYTES_MAX } from './cache-records.ts';
import type { CacheCarrier, CacheManifest } from './carrier.ts';

export const CACHE_CONFIG_TYPE = 'application/vnd.buildkit.cacheconfig.v0';
export const RECORDS_TYPE = 'application/vnd.tsbuild.cache.records.v1+json';
/** As many descriptors as readers of manifests take, with room for ours. */
export const LAYERS_MAX = 990;
const CONFIG_BYTES_MAX = 8 << 20;

export interface EncodedCache {
  readonly manifest: CacheManifest;
  /** To be written before the manifest, beside the layers. */
  readonly documents: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[];
}

export function encodeCache(records: CacheRecords): EncodedCache {
  const recordBytes = encodeRecords(records);
  const own = { mediaType: RECORDS_TYPE, digest: digestOf(recordBytes), size: recordBytes.length };
  const layers = new Map(records.steps.flatMap(({ layer }) => (layer === undefined ? [] : [[layer.descriptor.digest, layer] as const])));
  const configBytes = canonicalJson(buildkitConfig(records.steps, [...layers.keys()]));
  const config = { mediaType: CACHE_CONFIG_TYPE, digest: digestOf(configBytes), size: configBytes.length };
  const bytes = canonicalJson({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config,
    layers: [
      ...[...layers.values()].map(({ descriptor, diffId, createdAt }) => ({
        ...plainDescriptor(descriptor),
        annotations: { 'containerd.io/uncompressed': diffId, 'buildkit/createdat': createdAt },
      })),
      ...records.mounts.map(({ descriptor }) => plainDescriptor(descriptor)),
      own,
    ],
  });
  return {
    manifest: { bytes, digest: digestOf(bytes), mediaType: MEDIA_TYPE.manifest },
    documents: [
      { descriptor: own, bytes: recordBytes },
      { descriptor: config, bytes: configBytes },
    ],
  };
}

/** Its records have no parents in this list where a base image, or a layer laid over others, is between. */
function buildkitConfig(steps: readonly PortableStep[], digests: readonly string[]): object {
  const layerAt = new Map(digests.map((digest, index) => [digest, index]));
  return {
    layers: digests.map((blob) => ({ blob, parent: -1 })),
    records: steps.flatMap(({ key, layer }) =>
      layer === undefined
        ? []
        : [{ digest: `sha256:${key}`, layers: [{ layer: layerAt.get(layer.descriptor.digest), createdAt: layer.createdAt }] }],
    ),
  };
}

/** Throws IMAGE_INVALID, DIGEST_MISMATCH; undefined where the manifest is one of a cache or image that is not ours. */
export async function readRecords(carrier: CacheCarrier, manifest: Buffer): Promise<CacheRecords | undefined> {
  if (manifest.length > MANIFEST_BYTES_MAX)
    throw new TsbuildError('IMAGE_INVALID', `Cannot use the manifest: larger than ${MANIFEST_BYTES_MAX} bytes`);
  const document = parseManifestDocument(manifest, undefined, 'the manifest of the cache');
  if (document.kind !== 'manifest') return undefined;
  const { config, layers } = document.manifest;
  if (isConfigType(config.mediaType)) return await inlineRecords(carrier, config);
  const own = layers.find(({ mediaType }) => mediaType === RECORDS_TYPE);
  return own === undefined ? undefined : parseRecords(await readWhole(carrier, own, RECORDS_BYTES_MAX));
}

async function inlineRecords(carrier: CacheCarrier, config: Descriptor): Promise<CacheRecords | undefined> {
  const value = parseStrictJson(await readWhole(carrier, config, CONFIG_BYTES_MAX), `config ${hexOf(config.digest)}`);
  const field = (value as { readonly [name: string]: typeof value } | null)?.[INLINE_FIELD];
  return field === undefined ? undefined : checkRecords(field);
}

async function readWhole(carrier: CacheCarrier, blob: Descriptor, maxBytes: number): Promise<Buffer> {
  if (blob.size > maxBytes)
    throw new TsbuildError('IMAGE_INVALID', `Cannot use blob ${blob.digest}: ${blob.size} bytes, at most ${maxBytes} are accepted`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of carrier.readBlob(blob)) {
    size += chunk.length;
    if (size > blob.size) break;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) === blob.digest) return bytes;
  throw new TsbuildError('DIGEST_MISMATCH', `Cannot accept blob ${blob.digest}: its bytes are others`);
}
