import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { BuildEvent } from '../../src/events.ts';
import { pushImage } from '../../src/exporters/registry-exporter.ts';
import { assembleImage } from '../../src/images/assemble-image.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openRegistryClient } from '../../src/registry/registry-client.ts';
import type { Store } from '../../src/store/open-store.ts';
import { recorder } from '../images/_rootfs.ts';
import { startRegistry } from '../registry/_docker-registry.ts';
import { startEmulatedRegistry } from '../registry/emulated-registry.ts';
import { type FaultProxy, startFaultProxy } from '../registry/fault-proxy.ts';
import { temporaryStore } from '../store/_store.ts';

const signal = new AbortController().signal;
const LAYERS = 5;
const SIZE = 100_000;

/** An index of two platforms that share their layers. */
async function putIndex(store: Store): Promise<Descriptor> {
  const layers = [];
  for (let i = 0; i < LAYERS; i += 1) {
    const blob = { mediaType: MEDIA_TYPE.layerGzip, ...(await store.content.put(randomBytes(SIZE))) };
    layers.push({ descriptor: blob, diffId: blob.digest });
  }
  const manifests = [];
  for (const architecture of ['amd64', 'arm64']) {
    const platform = { os: 'linux', architecture };
    manifests.push({
      ...(await assembleImage(store, { config: { ...platform, history: layers.map(() => ({ created_by: 'test' })) }, layers })),
      platform,
    });
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }));
  return { mediaType: MEDIA_TYPE.index, ...(await store.content.put(bytes)) };
}

const sentTo = ({ requests }: FaultProxy) =>
  requests.filter(({ path }) => path.includes('uploads')).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);

test('pushImage() of three tags, two platforms and two repositories sends each layer once, and mounts it for the second repository', async (t) => {
  await using server = await startRegistry();
  await using proxy = await startFaultProxy(server.port);
  const store = await temporaryStore(t);
  const descriptor = await putIndex(store);
  const registry = openRegistryClient({ signal });
  t.after(() => registry.close());
  const push = async (name: string, emit: (event: BuildEvent) => void = () => {}) =>
    await pushImage({ store, registry, emit, signal }, descriptor, parseReference(`${proxy.host}/${name}`));
  await push('one:1');
  const asked = proxy.requests.filter(({ method }) => method === 'HEAD').length;
  assert.equal(asked, LAYERS + 2);
  await push('one:2');
  await push('one:3');
  assert.equal(proxy.requests.filter(({ method }) => method === 'HEAD').length, asked);
  const { events, emit } = recorder();
  await push('two:1', emit);
  const configs = sentTo(proxy) - LAYERS * SIZE;
  assert.ok(configs > 0 && configs < 5000, `${configs} bytes beside the layers`);
  const states = events.flatMap((event) => (event.kind === 'transfer' && event.state !== 'running' ? [event.state] : []));
  assert.deepEqual(new Set(states), new Set(['mounted']));
});

test('pushImage() to several tags and repositories at the same moment sends each layer once', async (t) => {
  await using server = await startRegistry();
  await using proxy = await startFaultProxy(server.port);
  const store = await temporaryStore(t);
  const descriptor = await putIndex(store);
  const registry = openRegistryClient({ signal });
  t.after(() => registry.close());
  const names = ['one:1', 'one:2', 'two:1', 'two:2', 'three:1'];
  await Promise.all(
    names.map((name) => pushImage({ store, registry, emit: () => {}, signal }, descriptor, parseReference(`${proxy.host}/${name}`))),
  );
  assert.ok(sentTo(proxy) < LAYERS * SIZE + 5000, `${sentTo(proxy)} bytes`);
});

test('pushImage() puts the tag last, after everything that it needs', async (t) => {
  await using registry = await startEmulatedRegistry();
  const store = await temporaryStore(t);
  const descriptor = await putIndex(store);
  const client = openRegistryClient({ signal });
  t.after(() => client.close());
  await pushImage({ store, registry: client, emit: () => {}, signal }, descriptor, parseReference(`${registry.host}/one:1`));
  const written = registry.seen.filter(({ method, status }) => method === 'PUT' && status === 201).map(({ path }) => path);
  const firstManifest = written.findIndex((path) => path.includes('/manifests/'));
  assert.equal(firstManifest, LAYERS + 2);
  assert.deepEqual(
    written.slice(firstManifest).map((path) => path.replace(/sha256:.*/, 'DIGEST')),
    ['/v2/one/manifests/DIGEST', '/v2/one/manifests/DIGEST', '/v2/one/manifests/1'],
  );
});

test('pushImage() and pullImage() tell of bytes of each blob while they move', async (t) => {
  await using registry = await startEmulatedRegistry({ restMs: 30 });
  const store = await temporaryStore(t);
  const layer = { mediaType: MEDIA_TYPE.layerGzip, ...(await store.content.put(randomBytes(12 << 20))) };
  const image = await assembleImage(store, {
    config: { os: 'linux', architecture: 'amd64', history: [{ created_by: 'test' }] },
    layers: [{ descriptor: layer, diffId: layer.digest }],
  });
  const client = openRegistryClient({ signal });
  t.after(() => client.close());
  const { events, emit } = recorder();
  await pushImage({ store, registry: client, emit, signal }, image, parseReference(`${registry.host}/one:1`));
  const told = events.flatMap((event) => (event.kind === 'transfer' && event.id === layer.digest ? [event] : []));
  assert.ok(told.length > 3, `${told.length} events`);
  assert.ok(told.every(({ total, action }) => total === layer.size && action === 'push'));
  const bytes = told.map((event) => event.bytes);
  assert.deepEqual(
    bytes,
    bytes.toSorted((a, b) => a - b),
  );
  assert.equal(bytes.at(-1), layer.size);
});
