import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../src/errors.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseImageConfig } from '../../src/oci/parse-config.ts';
import { MANIFEST_BYTES_MAX, parseManifestDocument } from '../../src/oci/parse-manifest.ts';

const isInvalid = (error: unknown) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_INVALID';
const digest = digestOf('x');
const config = { mediaType: MEDIA_TYPE.config, digest, size: 1 };
const layer = { mediaType: MEDIA_TYPE.layerGzip, digest, size: 2 };
const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [{ mediaType: MEDIA_TYPE.manifest, digest, size: 3 }] };
const parse = (value: object | string, mediaType: string = MEDIA_TYPE.manifest) =>
  parseManifestDocument(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), mediaType, 'the test');

test('parseManifestDocument() reads manifests and indexes of both families', () => {
  assert.deepEqual(parse(manifest), { kind: 'manifest', manifest });
  assert.deepEqual(parse(index, MEDIA_TYPE.index), { kind: 'index', index });
  assert.equal(parse({ ...manifest, mediaType: MEDIA_TYPE.dockerManifest }, MEDIA_TYPE.dockerManifest).kind, 'manifest');
  assert.equal(parse({ ...index, mediaType: MEDIA_TYPE.dockerManifestList }, MEDIA_TYPE.dockerManifestList).kind, 'index');
  const { mediaType: _, ...untyped } = manifest;
  assert.deepEqual(parse(untyped), { kind: 'manifest', manifest });
});

test('parseManifestDocument() drops urls and data, and keeps platforms and annotations', () => {
  const platform = { os: 'linux', architecture: 'arm', variant: 'v7', 'os.version': '1' };
  const rich = { ...index.manifests[0], platform, annotations: { a: 'b' }, urls: ['http://169.254.169.254/'], data: 'eA==' };
  const document = parse({ ...index, manifests: [rich] }, MEDIA_TYPE.index);
  assert.equal(
    JSON.stringify(document.kind === 'index' && document.index.manifests[0]),
    JSON.stringify({ ...index.manifests[0], platform: { os: 'linux', architecture: 'arm', variant: 'v7' }, annotations: { a: 'b' } }),
  );
});

test('parseManifestDocument() refuses documents that could be two things', () => {
  const both: [object | string, string?][] = [
    [{ ...manifest, manifests: index.manifests }],
    [{ ...index, layers: [] }, MEDIA_TYPE.index],
    [{ ...index, config }, MEDIA_TYPE.index],
    [{ ...manifest, fsLayers: [] }],
    [manifest, MEDIA_TYPE.index],
    [manifest, MEDIA_TYPE.dockerManifest],
    [index, MEDIA_TYPE.manifest],
    [{ ...manifest, mediaType: 'text/plain' }, 'text/plain'],
    [{ ...manifest, Layers: [layer] }],
    [{ ...manifest, LAYERS: null }],
    [{ ...manifest, config: { ...config, Digest: digest } }],
    [JSON.stringify(manifest).replace('"layers"', '"layers":[],"layers"')],
  ];
  for (const [value, mediaType] of both) assert.throws(() => parse(value, mediaType), isInvalid, JSON.stringify(value));
});

test('F6 parseManifestDocument() refuses what is malformed or hostile', () => {
  const digests = [
    '',
    'x',
    'sha256:',
    `sha256:${'A'.repeat(64)}`,
    `sha256:../../${'a'.repeat(58)}`,
    `sha512:${'a'.repeat(128)}`,
    5,
    null,
    {},
    [digest],
  ];
  const sizes = [-1, 1.5, '1', null, 2 ** 53, undefined, [], {}];
  const values: (object | string)[] = [
    ...digests.map((bad) => ({ ...manifest, layers: [{ ...layer, digest: bad }] })),
    ...sizes.map((bad) => ({ ...manifest, config: { ...config, size: bad } })),
    ...[undefined, 5, '', 'no slash', 'a/b; x=y', 'a/\u0000'].map((bad) => ({ ...manifest, layers: [{ ...layer, mediaType: bad }] })),
    ...[undefined, null, {}, 'x', [5], [null], [[]]].map((bad) => ({ ...manifest, layers: bad })),
    ...[undefined, null, [], 'x'].map((bad) => ({ ...manifest, config: bad })),
    ...[undefined, 1, 3, '2', null].map((bad) => ({ ...manifest, schemaVersion: bad })),
    ...['null', '[]', '5', '"x"', '', '{'],
    { ...manifest, annotations: { a: 1 } },
    { ...manifest, annotations: [] },
  ];
  for (const value of values) assert.throws(() => parse(value), isInvalid, JSON.stringify(value));
});

test('parseManifestDocument() believes a document where nothing else names its type', () => {
  const unnamed = (value: object) => parseManifestDocument(Buffer.from(JSON.stringify(value)), undefined, 'the test');
  assert.deepEqual(unnamed(manifest), { kind: 'manifest', manifest });
  assert.deepEqual(unnamed(index), { kind: 'index', index });
  const { mediaType: _, ...untyped } = manifest;
  assert.throws(() => unnamed(untyped), /nothing says its mediaType/);
  assert.throws(
    () => unnamed({ ...manifest, mediaType: 'application/vnd.oci.artifact.manifest.v1+json' }),
    /neither a manifest nor an index/,
  );
  assert.throws(() => unnamed({ schemaVersion: 1, fsLayers: [] }), /Docker schema 1/);
});

test('parseManifestDocument() takes so many descriptors and no more', () => {
  const many = (length: number) => parse({ ...manifest, layers: Array.from({ length }, () => layer) });
  assert.equal(many(16_384).kind, 'manifest');
  assert.throws(() => many(16_385), isInvalid);
});

test('parseManifestDocument() throws nothing but IMAGE_INVALID, and a key __proto__ changes nothing', () => {
  const names = fc.constantFrom('schemaVersion', 'mediaType', 'config', 'layers', 'manifests', '__proto__', 'annotations');
  fc.assert(
    fc.property(fc.dictionary(names, fc.jsonValue()), fc.boolean(), (document, isNearlyGood) => {
      try {
        parse({ ...(isNearlyGood ? manifest : {}), ...document });
      } catch (error) {
        assert.ok(isInvalid(error));
      }
      assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    }),
  );
});

test('parseManifestDocument() takes a manifest of exactly 4 MiB and no byte more', () => {
  const text = JSON.stringify(manifest);
  assert.equal(parse(text + ' '.repeat(MANIFEST_BYTES_MAX - text.length)).kind, 'manifest');
  assert.throws(() => parse(text + ' '.repeat(MANIFEST_BYTES_MAX - text.length + 1)), isInvalid);
});

const image = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest] } };
const parseConfig = (value: object | string) =>
  parseImageConfig(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), 'the test');

test('parseImageConfig() keeps what image-config.ts names, takes null for absent, and drops the rest', () => {
  const given = {
    ...image,
    created: '2020-01-01T00:00:00Z',
    docker_version: '1',
    container_config: { Cmd: ['x'] },
    config: {
      ...{
        User: 'u',
        Env: ['A=1'],
        Entrypoint: null,
        Cmd: ['sh'],
        Volumes: { '/v': {} },
        ExposedPorts: { '80/tcp': {} },
        WorkingDir: '/w',
      },
      ...{
        Labels: { __proto__x: 'y' },
        OnBuild: null,
        Hostname: 'h',
        Healthcheck: { Test: ['NONE'], Interval: 5_000_000_000 },
        ArgsEscaped: true,
      },
    },
    history: [{ created_by: 'a', empty_layer: true }, { created: '2020-01-01T00:00:00Z' }],
  };
  const {
    docker_version: _,
    container_config: __,
    config: { Entrypoint, OnBuild, Hostname, ...kept },
    ...rest
  } = given;
  assert.equal(Entrypoint ?? OnBuild, null);
  assert.equal(Hostname, 'h');
  assert.deepEqual(JSON.parse(JSON.stringify(parseConfig(given))), { ...rest, config: kept });
  assert.deepEqual(parseConfig(image), image);
});

test('parseImageConfig() refuses wrong types, wrong spellings and bad diffIDs', () => {
  const values: (object | string)[] = [
    ...['Env', 'Cmd', 'Entrypoint', 'Shell', 'OnBuild'].flatMap((name) =>
      ['x', {}, [1], [null]].map((bad) => ({ ...image, config: { [name]: bad } })),
    ),
    ...['User', 'WorkingDir', 'StopSignal'].flatMap((name) => [1, [], {}].map((bad) => ({ ...image, config: { [name]: bad } }))),
    ...['Labels', 'Volumes', 'ExposedPorts', 'Healthcheck'].flatMap((name) =>
      [1, 'x', []].map((bad) => ({ ...image, config: { [name]: bad } })),
    ),
    { ...image, config: { Labels: { a: 1 } } },
    { ...image, config: { env: ['A=1'] } },
    { ...image, Config: {} },
    { ...image, os: undefined },
    { ...image, architecture: 1 },
    { ...image, rootfs: undefined },
    { ...image, rootfs: { type: 'base', diff_ids: [] } },
    { ...image, rootfs: { type: 'layers', diff_ids: ['sha256:../../etc/passwd'] } },
    { ...image, rootfs: { type: 'layers', diff_ids: {} } },
    { ...image, history: [1] },
    { ...image, history: [{ empty_layer: 'true' }] },
    '[]',
  ];
  for (const value of values) assert.throws(() => parseConfig(value), isInvalid, JSON.stringify(value));
});
