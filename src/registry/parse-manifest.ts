/** Bytes of a manifest or index → exact types, or IMAGE_INVALID. Source: OCI image-spec manifest.md, image-index.md; distribution-spec "Pulling manifests". */
import { TsbuildError } from '../errors.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { parseDigest } from '../oci/digest.ts';
import type { ImageIndex, Manifest } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';

export type ManifestDocument =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: ImageIndex };

/** All that is asked for, the newer first. */
export const ACCEPTED_TYPES: readonly string[] = [
  MEDIA_TYPE.index,
  MEDIA_TYPE.manifest,
  MEDIA_TYPE.dockerManifestList,
  MEDIA_TYPE.dockerManifest,
];

const INDEX_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPE.index, MEDIA_TYPE.dockerManifestList]);
const LAYERS_MAX = 1000;
const MANIFESTS_MAX = 1000;
const MEDIA_TYPE_GRAMMAR = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$/;

/**
 * `contentType` is the answer's header. It, the body's `mediaType` and the body's own fields must say the same thing
 * (CVE-2021-41190: one digest, two readings). `subject` names the document in messages.
 */
export function parseManifest(bytes: Buffer, contentType: string | undefined, subject: string): ManifestDocument {
  const refuse = (reason: string): never => {
    throw new TsbuildError('IMAGE_INVALID', `Cannot use the manifest of ${subject}: ${reason}`);
  };
  const document = parseObject(bytes) ?? refuse('it is not a JSON object');
  const mediaType = agreedType(document, contentType, refuse);
  if (document.get('schemaVersion') !== 2) refuse('its schemaVersion is not 2');
  const index = INDEX_TYPES.has(mediaType);
  const foreign = (index ? ['layers', 'config', 'fsLayers'] : ['manifests', 'fsLayers']).find((name) => document.has(name));
  if (foreign !== undefined) refuse(`${index ? 'an index' : 'a manifest'} must not have ${foreign}`);
  try {
    if (index)
      return { kind: 'index', index: { schemaVersion: 2, mediaType, manifests: descriptors(document.get('manifests'), MANIFESTS_MAX) } };
    const annotations = stringMap(document.get('annotations'));
    const config = descriptor(document.get('config'));
    const layers = descriptors(document.get('layers'), LAYERS_MAX);
    return {
      kind: 'manifest',
      manifest: { schemaVersion: 2, mediaType, config, layers, ...(annotations === undefined ? {} : { annotations }) },
    };
  } catch (error) {
    if (error instanceof TsbuildError) return refuse(error.message);
    throw error;
  }
}

type Refuse = (reason: string) => never;

function agreedType(document: ReadonlyMap<string, unknown>, contentType: string | undefined, refuse: Refuse): string {
  const header = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const own = document.get('mediaType');
  if (own !== undefined && typeof own !== 'string') refuse('its mediaType is not a string');
  const mediaType = typeof own === 'string' ? own : (header ?? '');
  if (document.get('schemaVersion') === 1) refuse('it is a Docker schema 1 manifest, which tsbuild does not read');
  if (header !== undefined && header !== mediaType)
    refuse(`its mediaType is ${JSON.stringify(mediaType.slice(0, 100))}, sent as ${header.slice(0, 100)}`);
  if (!ACCEPTED_TYPES.includes(mediaType)) refuse(`its mediaType ${JSON.stringify(mediaType.slice(0, 100))} is not an image's`);
  return mediaType;
}

function parseObject(bytes: Buffer): Map<string, unknown> | undefined {
  try {
    return asMap(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function descriptors(value: unknown, max: number): Descriptor[] {
  if (!Array.isArray(value)) throw invalid('a list of descriptors is missing');
  if (value.length > max) throw invalid(`it lists more than ${max} descriptors`);
  return value.map(descriptor);
}

function descriptor(value: unknown): Descriptor {
  const fields = asMap(value);
  if (fields === undefined) throw invalid('a descriptor is missing');
  const mediaType = fields.get('mediaType');
  const size = fields.get('size');
  if (typeof mediaType !== 'string' || !MEDIA_TYPE_GRAMMAR.test(mediaType)) throw invalid('a descriptor has no valid mediaType');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid('a descriptor has no valid size');
  const annotations = stringMap(fields.get('annotations'));
  const platform = parsePlatformField(fields.get('platform'));
  return {
    mediaType,
    digest: parseDigest(fields.get('digest')),
    size,
    ...(platform === undefined ? {} : { platform }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function parsePlatformField(value: unknown): Platform | undefined {
  const fields = asMap(value);
  if (fields === undefined) return undefined;
  const [os, architecture, variant] = ['os', 'architecture', 'variant'].map((name) => fields.get(name));
  if (typeof os !== 'string' || typeof architecture !== 'string') throw invalid('a platform has no os and architecture');
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) };
}

function stringMap(value: unknown): Readonly<Record<string, string>> | undefined {
  const fields = asMap(value);
  if (fields === undefined) return undefined;
  const entries = [...fields].filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  // fromEntries defines own properties, so a key `__proto__` does no harm.
  return Object.fromEntries(entries);
}

function asMap(value: unknown): Map<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : undefined;
}

function invalid(reason: string): TsbuildError {
  return new TsbuildError('IMAGE_INVALID', reason);
}
