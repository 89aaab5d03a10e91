import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../src/errors.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { parseManifest } from '../../src/registry/parse-manifest.ts';
import { makeImage } from './_images.ts';

const parse = (value: unknown, contentType: string | undefined = undefined) =>
  parseManifest(Buffer.from(JSON.stringify(value)), contentType, 'x');
const image = JSON.parse(makeImage().bytes.toString('utf8')) as Record<string, unknown>;
const { mediaType: _, ...untyped } = image;

test('parseManifest() takes the mediaType from the body, or from the header where the body has none', () => {
  for (const document of [parse(image), parse(image, MEDIA_TYPE.manifest), parse(untyped, `${MEDIA_TYPE.manifest.toUpperCase()}; q=1`)]) {
    assert.equal(document.kind === 'manifest' && document.manifest.mediaType, MEDIA_TYPE.manifest);
  }
});

test('parseManifest() keeps annotations, and platforms of an index', () => {
  const document = parse({ ...image, annotations: { a: 'b', n: 1 } });
  assert.deepEqual(document.kind === 'manifest' && document.manifest.annotations, { a: 'b' });
  const platform = { os: 'linux', architecture: 'arm', variant: 'v7', 'os.version': 'x' };
  const index = parse({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [{ ...makeImage().descriptor, platform }] });
  assert.deepEqual(index.kind === 'index' && index.index.manifests[0]?.platform, { os: 'linux', architecture: 'arm', variant: 'v7' });
});

const REFUSED: readonly [string, unknown, string | undefined, RegExp][] = [
  ['a manifest of no type at all', untyped, undefined, /mediaType "" is not an image's/],
  ['a type that is not a string', { ...image, mediaType: 1 }, undefined, /mediaType is not a string/],
  ['an artifact', { ...image, mediaType: 'application/vnd.oci.artifact.manifest.v1+json' }, undefined, /is not an image's/],
  ['Docker schema 1', { schemaVersion: 1, fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws', /schema 1/],
  ['an index with layers', { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [], layers: [] }, undefined, /must not have layers/],
  ['a manifest with manifests', { ...image, manifests: [] }, undefined, /must not have manifests/],
  ['a fractional size', { ...image, config: { ...(image.config as object), size: 1.5 } }, undefined, /no valid size/],
  ['a size as text', { ...image, config: { ...(image.config as object), size: '5' } }, undefined, /no valid size/],
  [
    'a mediaType that is not one',
    { ...image, config: { ...(image.config as object), mediaType: 'a\nb' } },
    undefined,
    /no valid mediaType/,
  ],
  ['layers that are no list', { ...image, layers: { 0: 1 } }, undefined, /list of descriptors is missing/],
];
for (const [name, value, contentType, message] of REFUSED) {
  test(`parseManifest() refuses ${name}`, () =>
    assert.throws(() => parse(value, contentType), { code: 'ERR_TSBUILD_IMAGE_INVALID', message }));
}

for (const digest of [
  '',
  'sha256:',
  'sha256:../../x',
  `sha256:${'A'.repeat(64)}`,
  `sha512:${'a'.repeat(128)}`,
  `sha256:${'a'.repeat(63)}`,
  `sha256:${'a'.repeat(64)}\n`,
  7,
  null,
  `md5:${'a'.repeat(32)}`,
]) {
  test(`parseManifest() refuses the digest ${JSON.stringify(digest)}`, () => {
    assert.throws(() => parse({ ...image, layers: [{ ...(image.config as object), digest }] }), {
      code: 'ERR_TSBUILD_IMAGE_INVALID',
      message: /as a digest/,
    });
  });
}

test('parseManifest() refuses bytes that are not UTF-8 JSON', () => {
  for (const bytes of [Buffer.from([0xff, 0xfe]), Buffer.from('{'), Buffer.alloc(0), Buffer.from('null')]) {
    assert.throws(() => parseManifest(bytes, MEDIA_TYPE.manifest, 'x'), { code: 'ERR_TSBUILD_IMAGE_INVALID' });
  }
});

test('parseManifest() throws nothing but IMAGE_INVALID, and a key __proto__ changes nothing', () => {
  const fields = fc.dictionary(
    fc.constantFrom('schemaVersion', 'mediaType', 'config', 'layers', 'manifests', '__proto__', 'annotations'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fields, fc.boolean(), (document, valid) => {
      const base = valid ? { ...image } : {};
      try {
        parse({ ...base, ...document });
      } catch (error) {
        assert.ok(error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_INVALID');
      }
      assert.equal(({} as Record<string, unknown>).polluted, undefined);
    }),
  );
});
