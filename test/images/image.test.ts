import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { assembleImage } from '../../src/images/assemble-image.ts';
import { chainIds } from '../../src/images/chain-id.ts';
import { loadImage } from '../../src/images/image.ts';
import { normalizeHistory } from '../../src/images/normalize-history.ts';
import { canonicalJson } from '../../src/oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { Store } from '../../src/store/open-store.ts';
import { fsck } from '../store/_fsck.ts';
import { temporaryStore } from '../store/_store.ts';
import { AMD64 } from './_rootfs.ts';

const code = (name: string) => (error: unknown) => error instanceof TsbuildError && error.code === `ERR_TSBUILD_${name}`;
const diffId = digestOf('diff');

async function putLayer(
  store: Store,
  text: string,
  mediaType: string = MEDIA_TYPE.layer,
): Promise<{ descriptor: Descriptor; diffId: typeof diffId }> {
  const blob = await store.content.put(Buffer.from(text));
  return { descriptor: { mediaType, ...blob }, diffId: digestOf(text) };
}

async function putDocument(store: Store, mediaType: string, document: object): Promise<Descriptor> {
  return { mediaType, ...(await store.content.put(canonicalJson({ schemaVersion: 2, mediaType, ...document }))) };
}

async function putPlatform(store: Store, platform: Platform): Promise<Descriptor> {
  return { ...(await assembleImage(store, { config: platform, layers: [] })), platform };
}

test('chainIds() follow the specification', () => {
  const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')];
  assert.deepEqual(chainIds([]), []);
  assert.deepEqual(chainIds([a, b, c]), [a, digestOf(`${a} ${b}`), digestOf(`${digestOf(`${a} ${b}`)} ${c}`)]);
});

test('assembleImage() makes the same bytes of the same parts in any order of names, with OCI media types', async (t) => {
  const store = await temporaryStore(t);
  const layers = [await putLayer(store, 'base', MEDIA_TYPE.dockerLayerGzip), await putLayer(store, 'top', MEDIA_TYPE.layerGzip)];
  const history = [{ created_by: 'FROM' }, { empty_layer: true, created_by: 'ENV' }, { created_by: 'RUN' }];
  const first = await assembleImage(store, {
    layers,
    config: { os: 'linux', architecture: 'amd64', history, config: { Labels: { b: '1', a: '2' }, Env: ['Z=1', 'A=1'] } },
  });
  const second = await assembleImage(store, {
    config: { config: { Env: ['Z=1', 'A=1'], Labels: { a: '2', b: '1' } }, history, architecture: 'amd64', os: 'linux' },
    layers,
  });
  assert.deepEqual(first, second);
  const { manifest, config } = await loadImage(store, first, AMD64);
  assert.equal(manifest.mediaType, MEDIA_TYPE.manifest);
  assert.equal(manifest.config.mediaType, MEDIA_TYPE.config);
  assert.deepEqual(
    manifest.layers.map(({ mediaType }) => mediaType),
    [MEDIA_TYPE.layerGzip, MEDIA_TYPE.layerGzip],
  );
  assert.deepEqual(config.rootfs.diff_ids, [digestOf('base'), digestOf('top')]);
  assert.deepEqual(config.history, history);
  assert.deepEqual(fsck(store.root), []);
});

test('assembleImage() refuses missing layers, foreign media types and a history that counts otherwise', async (t) => {
  const store = await temporaryStore(t);
  const layer = await putLayer(store, 'x');
  const config = { os: 'linux', architecture: 'amd64', history: [{}] };
  const missing = { ...layer, descriptor: { ...layer.descriptor, digest: digestOf('not there') } };
  await assert.rejects(assembleImage(store, { config, layers: [missing] }), code('STORE_INVALID'));
  const foreign = { ...layer, descriptor: { ...layer.descriptor, mediaType: 'application/x-executable' } };
  await assert.rejects(assembleImage(store, { config, layers: [foreign] }), code('IMAGE_INVALID'));
  await assert.rejects(assembleImage(store, { config, layers: [] }), /history/);
  await assert.rejects(assembleImage(store, { config, layers: [layer, layer] }), /history/);
});

test('normalizeHistory() makes any history tell of as many layers as there are', () => {
  assert.deepEqual(normalizeHistory(undefined, 1), [{ comment: 'history missing' }]);
  assert.deepEqual(normalizeHistory([{ created_by: 'a' }, { created_by: 'b' }], 1), [
    { created_by: 'a' },
    { created_by: 'b', empty_layer: true },
  ]);
  assert.deepEqual(normalizeHistory([{ empty_layer: true }], 1), [{ empty_layer: true }, { comment: 'history missing' }]);
  assert.deepEqual(normalizeHistory([], 0), []);
});

test('loadImage() picks the platform of an index, on arm an older variant, and never an attestation', async (t) => {
  const store = await temporaryStore(t);
  const [amd64, arm64, armv6] = [
    await putPlatform(store, AMD64),
    await putPlatform(store, { os: 'linux', architecture: 'arm64' }),
    await putPlatform(store, { os: 'linux', architecture: 'arm', variant: 'v6' }),
  ];
  const attestation = {
    ...amd64,
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  };
  const index = await putDocument(store, MEDIA_TYPE.index, { manifests: [attestation, arm64, armv6, amd64] });
  const load = async (platform: Platform) => (await loadImage(store, index, platform)).descriptor.digest;
  assert.equal(await load(AMD64), amd64.digest);
  assert.equal(await load({ os: 'linux', architecture: 'arm64', variant: 'v8' }), arm64.digest);
  assert.equal(await load({ os: 'linux', architecture: 'arm', variant: 'v7' }), armv6.digest);
  await assert.rejects(load({ os: 'linux', architecture: 'arm', variant: 'v5' }), code('PLATFORM_NOT_FOUND'));
  await assert.rejects(
    load({ os: 'linux', architecture: 's390x' }),
    (error) => code('PLATFORM_NOT_FOUND')(error) && /linux\/arm64, linux\/arm\/v6, linux\/amd64/.test(String((error as TsbuildError).hint)),
  );
  const nested = await putDocument(store, MEDIA_TYPE.index, { manifests: [{ ...index, platform: AMD64 }] });
  assert.equal((await loadImage(store, nested, AMD64)).descriptor.digest, amd64.digest);
});

test('loadImage() refuses an image that contradicts itself or its descriptor', async (t) => {
  const store = await temporaryStore(t);
  const arm = await assembleImage(store, { config: { os: 'linux', architecture: 'arm64' }, layers: [] });
  await assert.rejects(loadImage(store, arm, AMD64), code('PLATFORM_NOT_FOUND'));
  const liar = await putDocument(store, MEDIA_TYPE.index, { manifests: [{ ...arm, platform: AMD64 }] });
  await assert.rejects(loadImage(store, liar, AMD64), code('IMAGE_INVALID'));
  const config = {
    mediaType: MEDIA_TYPE.config,
    ...(await store.content.put(canonicalJson({ ...AMD64, rootfs: { type: 'layers', diff_ids: [diffId, diffId] } }))),
  };
  const { descriptor: layer } = await putLayer(store, 'x');
  await assert.rejects(
    loadImage(store, await putDocument(store, MEDIA_TYPE.manifest, { config, layers: [layer] }), AMD64),
    code('IMAGE_INVALID'),
  );
  const artifact = await putDocument(store, MEDIA_TYPE.manifest, {
    config: { ...config, mediaType: 'application/vnd.oci.empty.v1+json' },
    layers: [layer, layer],
  });
  await assert.rejects(loadImage(store, artifact, AMD64), code('IMAGE_INVALID'));
  const good = await assembleImage(store, { config: AMD64, layers: [] });
  await assert.rejects(loadImage(store, { ...good, size: good.size + 1 }, AMD64), code('DIGEST_MISMATCH'));
  await assert.rejects(loadImage(store, { ...good, mediaType: MEDIA_TYPE.dockerManifest }, AMD64), code('IMAGE_INVALID'));
  await assert.rejects(loadImage(store, { ...good, mediaType: MEDIA_TYPE.layer }, AMD64), code('IMAGE_INVALID'));
  let deep: Descriptor = { ...good, platform: AMD64 };
  for (let i = 0; i < 10; i++) deep = { ...(await putDocument(store, MEDIA_TYPE.index, { manifests: [deep] })), platform: AMD64 };
  await assert.rejects(loadImage(store, deep, AMD64), code('IMAGE_INVALID'));
  writeFileSync(store.content.path(good.digest), Buffer.alloc(good.size, 'x'));
  await assert.rejects(loadImage(store, good, AMD64), code('DIGEST_MISMATCH'));
  await assert.rejects(loadImage(store, good, AMD64), code('STORE_INVALID'));
});
