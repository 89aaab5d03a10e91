/** A strict judge of image documents, written after the image-spec (v1.1: manifest.md, image-index.md, config.md, descriptor.md) alone. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

type Json = Record<string, unknown>;
/** Field → what it must be; `?` at the end of a name: it may be absent. */
type Shape = Readonly<Record<string, (value: unknown, at: string) => void>>;

const DIGEST = /^sha256:[a-f0-9]{64}$/;
const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const LAYER = /^application\/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?$/;

const string = (value: unknown, at: string): void => assert.equal(typeof value, 'string', at);
const boolean = (value: unknown, at: string): void => assert.equal(typeof value, 'boolean', at);
const like =
  (pattern: RegExp) =>
  (value: unknown, at: string): void =>
    assert.match(String(value), pattern, at);
const exactly =
  (expected: unknown) =>
  (value: unknown, at: string): void =>
    assert.equal(value, expected, at);
const size = (value: unknown, at: string): void => assert.ok(Number.isSafeInteger(value) && Number(value) >= 0, at);
const list =
  (each: (value: unknown, at: string) => void) =>
  (value: unknown, at: string): void => {
    assert.ok(Array.isArray(value), at);
    for (const [i, item] of value.entries()) each(item, `${at}[${i}]`);
  };
const map =
  (each: (value: unknown, at: string) => void) =>
  (value: unknown, at: string): void => {
    assert.ok(value !== null && typeof value === 'object' && !Array.isArray(value), at);
    for (const [key, item] of Object.entries(value)) each(item, `${at}.${key}`);
  };
const object =
  (shape: Shape) =>
  (value: unknown, at: string): void => {
    assert.ok(value !== null && typeof value === 'object' && !Array.isArray(value), at);
    for (const key of Object.keys(value)) assert.ok(key in shape || `${key}?` in shape, `${at}.${key} is no field of the specification`);
    for (const [key, check] of Object.entries(shape)) {
      const name = key.replace(/\?$/, '');
      if (name in value) check((value as Json)[name], `${at}.${name}`);
      else assert.ok(key.endsWith('?'), `${at}.${name} is missing`);
    }
  };
const empty = object({});

const platform = object({ os: string, architecture: string, 'variant?': string });
const descriptor = (mediaType: (value: unknown, at: string) => void, withPlatform = false) =>
  object({
    ...{ mediaType, digest: like(DIGEST), size, 'annotations?': map(string) },
    ...(withPlatform ? { 'platform?': platform } : {}),
  });
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const manifest = object({
  ...{ schemaVersion: exactly(2), mediaType: exactly(MANIFEST) },
  config: descriptor(exactly('application/vnd.oci.image.config.v1+json')),
  layers: list(descriptor(like(LAYER))),
  'annotations?': map(string),
});
const index = object({
  ...{ schemaVersion: exactly(2), mediaType: exactly(INDEX) },
  manifests: list(descriptor(like(MEDIA_TYPE), true)),
  'annotations?': map(string),
});
const config = object({
  ...{ 'created?': like(TIME), 'author?': string, architecture: string, os: string, 'variant?': string },
  'config?': object({
    ...{ 'User?': string, 'ExposedPorts?': map(empty), 'Env?': list(like(/^[^=]+=/)), 'Entrypoint?': list(string), 'Cmd?': list(string) },
    ...{ 'Volumes?': map(empty), 'WorkingDir?': string, 'Labels?': map(string), 'StopSignal?': string, 'ArgsEscaped?': boolean },
  }),
  rootfs: object({ type: exactly('layers'), diff_ids: list(like(DIGEST)) }),
  'history?': list(
    object({ 'created?': like(TIME), 'created_by?': string, 'author?': string, 'comment?': string, 'empty_layer?': boolean }),
  ),
});

/** Checks everything that the layout's index.json leads to, by shape, digest and size; returns the descriptors that it lists. */
export function judgeLayout(layout: string): Json[] {
  const top = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8'));
  assert.deepEqual(JSON.parse(readFileSync(path.join(layout, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
  index(top, 'index.json');
  for (const item of top.manifests) judge(layout, item);
  return top.manifests;
}

/** A document of the layout, by its digest. */
export function documentOf(layout: string, digest: string): ReturnType<typeof JSON.parse> {
  return JSON.parse(blob(layout, digest).toString('utf8'));
}

export function blob(layout: string, digest: string): Buffer {
  return readFileSync(path.join(layout, 'blobs/sha256', digest.slice('sha256:'.length)));
}

function judge(layout: string, item: { mediaType: string; digest: string; size: number }): void {
  const bytes = blob(layout, item.digest);
  assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, item.digest);
  assert.equal(bytes.length, item.size, item.digest);
  if (item.mediaType === INDEX) {
    const document = documentOf(layout, item.digest);
    index(document, 'index');
    for (const each of document.manifests) judge(layout, each);
  }
  if (item.mediaType !== MANIFEST) return;
  const document = documentOf(layout, item.digest);
  manifest(document, 'manifest');
  config(documentOf(layout, document.config.digest), 'config');
  for (const each of [document.config, ...document.layers]) judge(layout, each);
}
