/** Foreign manifest and index bytes → values that can be trusted in form. Source: OCI image-spec manifest.md, image-index.md, descriptor.md. */
import { type Descriptor, MEDIA_TYPE } from './descriptor.ts';
import { parseDigest } from './digest.ts';
import { arrayField, type Fields, fieldsOf, has, invalid, requiredString, sizeField, stringField, stringMapField } from './json-fields.ts';
import type { ImageIndex, Manifest } from './manifest.ts';
import type { Platform } from './platform.ts';
import { type JsonValue, parseStrictJson } from './strict-json.ts';

export type ManifestDocument =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: ImageIndex };

/** Largest manifest or index read: as much as registries must take (distribution-spec "Pushing Manifests"). */
export const MANIFEST_BYTES_MAX = 4 << 20;
/** Most descriptors in one document, each of which is a request to somebody: as many as a Dockerfile of 10,000 steps makes, with room. */
const DESCRIPTORS_MAX = 16_384;

/** RFC 6838 4.2. */
const MEDIA_TYPE_GRAMMAR = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$/;
export const IS_SCHEMA_1 = 'it is a Docker schema 1 manifest, which tsbuild does not read';
const KNOWN = ['schemaVersion', 'mediaType', 'config', 'layers', 'manifests', 'annotations', 'fsLayers', 'artifactType', 'subject'];
const DESCRIPTOR = ['mediaType', 'digest', 'size', 'platform', 'annotations', 'urls', 'data', 'artifactType'];

export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.manifest || mediaType === MEDIA_TYPE.dockerManifest;
}

/** Of a container image: artifacts have configs of other types. */
export function isConfigType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.config || mediaType === MEDIA_TYPE.dockerConfig;
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.index || mediaType === MEDIA_TYPE.dockerManifestList;
}

/**
 * Reads what a descriptor or an answer of `mediaType` led to; undefined: what the document calls itself. A document that could be read as two things is refused
 * (CVE-2021-41190): another mediaType inside, or parts of both a manifest and an index. `urls` and `data` of
 * descriptors are dropped: content comes from where it was asked for. Throws IMAGE_INVALID.
 */
export function parseManifestDocument(bytes: Uint8Array, mediaType: string | undefined, subject: string): ManifestDocument {
  if (bytes.length > MANIFEST_BYTES_MAX) invalid(subject, `it is larger than ${MANIFEST_BYTES_MAX} bytes`);
  const fields = fieldsOf(parseStrictJson(bytes, subject), subject, KNOWN);
  if (fields.object.schemaVersion === 1) invalid(subject, IS_SCHEMA_1);
  if (fields.object.schemaVersion !== 2) invalid(subject, 'its schemaVersion is not 2');
  const inside = stringField(fields, 'mediaType') ?? mediaType;
  if (inside === undefined) return invalid(subject, 'nothing says its mediaType');
  if (mediaType !== undefined && inside !== mediaType)
    invalid(subject, `it calls itself ${shown(inside)}, but was named ${shown(mediaType)}`);
  if (isManifestType(inside)) return { kind: 'manifest', manifest: parseManifest(fields, inside) };
  if (isIndexType(inside)) return { kind: 'index', index: parseIndex(fields, inside) };
  return invalid(subject, `${shown(inside)} is neither a manifest nor an index`);
}

function shown(mediaType: string): string {
  return JSON.stringify(mediaType.slice(0, 100));
}

function parseManifest(fields: Fields, mediaType: string): Manifest {
  if (has(fields, 'manifests') || has(fields, 'fsLayers')) invalid(fields.subject, 'it is a manifest and something else at once');
  return {
    schemaVersion: 2,
    mediaType,
    config: descriptorOf(fieldsOf(fields.object.config, `config of ${fields.subject}`, DESCRIPTOR)),
    layers: descriptorsOf(fields, 'layers'),
    ...annotationsOf(fields),
    ...artifactOf(fields),
    ...subjectOf(fields),
  };
}

function parseIndex(fields: Fields, mediaType: string): ImageIndex {
  if (has(fields, 'layers') || has(fields, 'config') || has(fields, 'fsLayers'))
    invalid(fields.subject, 'it is an index and something else at once');
  return {
    schemaVersion: 2,
    mediaType,
    manifests: descriptorsOf(fields, 'manifests'),
    ...annotationsOf(fields),
    ...artifactOf(fields),
    ...subjectOf(fields),
  };
}

function descriptorsOf(fields: Fields, name: string): readonly Descriptor[] {
  const items = arrayField(fields, name) ?? invalid(fields.subject, `${name} is missing`);
  if (items.length > DESCRIPTORS_MAX) invalid(fields.subject, `it lists more than ${DESCRIPTORS_MAX} ${name}`);
  return items.map((item, i) => descriptorOf(fieldsOf(item, `${name}[${i}] of ${fields.subject}`, DESCRIPTOR)));
}

/** A descriptor that stands alone. Throws IMAGE_INVALID. */
export function parseDescriptor(value: JsonValue, subject: string): Descriptor {
  return descriptorOf(fieldsOf(value, subject, DESCRIPTOR));
}

function descriptorOf(fields: Fields): Descriptor {
  const mediaType = requiredString(fields, 'mediaType');
  if (!MEDIA_TYPE_GRAMMAR.test(mediaType)) invalid(fields.subject, 'its mediaType is not a media type');
  const platform = has(fields, 'platform') ? parsePlatformFields(fields) : undefined;
  return {
    mediaType,
    digest: parseDigest(fields.object.digest),
    size: sizeField(fields, 'size'),
    ...(platform === undefined ? {} : { platform }),
    ...annotationsOf(fields),
    ...artifactOf(fields),
  };
}

function artifactOf(fields: Fields): { artifactType?: string } {
  const artifactType = stringField(fields, 'artifactType') ?? '';
  if (artifactType === '') return {};
  return MEDIA_TYPE_GRAMMAR.test(artifactType) ? { artifactType } : invalid(fields.subject, 'its artifactType is not a media type');
}

function subjectOf(fields: Fields): { subject?: Descriptor } {
  if (!has(fields, 'subject')) return {};
  return { subject: descriptorOf(fieldsOf(fields.object['subject'], `subject of ${fields.subject}`, DESCRIPTOR)) };
}

function parsePlatformFields(fields: Fields): Platform {
  const platform = fieldsOf(fields.object.platform, `platform of ${fields.subject}`, ['os', 'architecture', 'variant']);
  const variant = stringField(platform, 'variant');
  return {
    os: requiredString(platform, 'os'),
    architecture: requiredString(platform, 'architecture'),
    ...(variant === undefined || variant === '' ? {} : { variant }),
  };
}

function annotationsOf(fields: Fields): { annotations?: Readonly<Record<string, string>> } {
  const annotations = stringMapField(fields, 'annotations');
  return annotations === undefined ? {} : { annotations };
}
