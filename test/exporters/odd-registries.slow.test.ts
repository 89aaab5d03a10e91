/** X27 to X29 and H10: whole pushes to registries that answer oddly, and that have habits of their own. skopeo judges what is there in the end. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { pushImage } from '../../src/exporters/registry-exporter.ts';
import { assembleImage } from '../../src/images/assemble-image.ts';
import { pullImage } from '../../src/images/pull-image.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openRegistryClient, type RegistryClientOptions } from '../../src/registry/registry-client.ts';
import type { Store } from '../../src/store/open-store.ts';
import { AMD64 } from '../images/_rootfs.ts';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { basicAuth, dockerConfig } from '../registry/_images.ts';
import { countScenarios } from '../registry/_scenarios.ts';
import { type Habits, startEmulatedRegistry } from '../registry/emulated-registry.ts';
import { type Fault, type FaultProxy, type FaultRule, startFaultProxy } from '../registry/fault-proxy.ts';
import { fsck } from '../store/_fsck.ts';
import { temporaryDirectory, temporaryStore } from '../store/_store.ts';

const signal = new AbortController().signal;
const MIB = 1024 * 1024;
const emit = (): void => {};

/** Layers of one and of five MiB, so that some registries want pieces. */
async function putImage(store: Store): Promise<Descriptor> {
  const layers = [];
  for (const size of [MIB, 5 * MIB]) {
    const descriptor = { mediaType: MEDIA_TYPE.layerGzip, ...(await store.content.put(randomBytes(size))) };
    layers.push({ descriptor, diffId: descriptor.digest });
  }
  const history = layers.map(() => ({ created_by: 'test' }));
  return await assembleImage(store, { config: { ...AMD64, history }, layers });
}

function openClient(options: Partial<RegistryClientOptions> = {}) {
  const client = openRegistryClient({ signal, dockerConfigDir: '/nonexistent', retry: { sleep: async () => {} }, ...options });
  return { ...client, [Symbol.asyncDispose]: () => client.close() };
}

/** skopeo verifies every digest of what it copies. */
async function judge(name: string, directory: string): Promise<void> {
  await promisify(execFile)('skopeo', [
    'copy',
    '-q',
    '--src-tls-verify=false',
    `docker://${name}`,
    `dir:${directory}/${name.replaceAll(/[:/]/g, '-')}`,
  ]);
}

const rangeOf = (range: string): Fault => ({ kind: 'edit', headers: (headers) => ({ ...headers, range }) });
const without = (name: string): Fault => ({ kind: 'edit', headers: ({ [name]: _, ...headers }) => headers });
const status = (code: number): Fault => ({ kind: 'edit', status: code });
const says = (code: number, body = ''): Fault => ({ kind: 'answer', status: code, body });
const patch: FaultRule = { method: 'PUT', path: /uploads/, body: true, times: 99, fault: says(405) };
const blobUnknown = JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown' }] });
const lost: Fault = { kind: 'lose-answer' };

/** What the registry does wrong; all of these converge. */
const ODD: readonly (readonly [string, ...FaultRule[]])[] = [
  ...['0-99', 'bytes=0-99', '0-0', '5-10', '0-99999999999', 'nonsense', '-1', '100-0', ''].map(
    (range) => [`says Range ${JSON.stringify(range)} once after a PATCH`, patch, { method: 'PATCH', fault: rangeOf(range) }] as const,
  ),
  ['says no Range after a PATCH', patch, { method: 'PATCH', times: 9, fault: without('range') }],
  ['says 416 to a PATCH once', patch, { method: 'PATCH', fault: says(416) }],
  ['says 416 to a PUT once', { method: 'PUT', path: /uploads/, fault: says(416) }],
  ['has forgotten the upload at the PUT', { method: 'PUT', path: /uploads/, fault: says(404) }],
  ['has forgotten the upload at the PUT after a PATCH', patch, { method: 'PUT', path: /uploads/, fault: says(404) }],
  ['says 201 without Location to a PUT', { method: 'PUT', path: /uploads/, times: 9, fault: without('location') }],
  ['says 204 to a PUT', { method: 'PUT', path: /uploads/, times: 9, fault: status(204) }],
  ['says 200 to a PUT', { method: 'PUT', path: /uploads/, times: 9, fault: status(200) }],
  ['says 204 to a PATCH', patch, { method: 'PATCH', times: 9, fault: status(204) }],
  ['names no digest', { times: 99, fault: without('docker-content-digest') }],
  ['says 404 to a HEAD of what it has', { method: 'HEAD', times: 9, fault: says(404) }],
  ['says 200 to a HEAD of what it has not', { method: 'HEAD', times: 9, fault: says(200) }],
  ['says 200 with another size to a HEAD', { method: 'HEAD', fault: { kind: 'answer', status: 200, headers: { 'content-length': '7' } } }],
  ['says 200 and 404 to HEADs in turns', { method: 'HEAD', fault: says(200) }, { method: 'HEAD', fault: says(404) }],
  ['does not find its blobs at the first manifest', { method: 'PUT', path: /manifests/, fault: says(400, blobUnknown) }],
  ['says 200 to a manifest', { method: 'PUT', path: /manifests/, times: 9, fault: status(200) }],
  ['says 202 to a manifest', { method: 'PUT', path: /manifests/, times: 9, fault: status(202) }],
  ['stores a manifest and says 502', { method: 'PUT', path: /manifests/, fault: status(502) }],
  ['stores a blob and says 502', { method: 'PUT', path: /uploads/, fault: status(502) }],
  ['loses the answer to a POST', { method: 'POST', fault: lost }],
  ['loses the answer to a PUT of a blob', { method: 'PUT', path: /uploads/, fault: lost }],
  ['loses the answer to a PATCH', patch, { method: 'PATCH', fault: lost }],
  ['loses the answer to a PUT after a PATCH', patch, { method: 'PUT', path: /uploads/, fault: lost }],
  ['loses the answer to a manifest', { method: 'PUT', path: /manifests/, fault: lost }],
  ['breaks in the middle of a blob', { method: 'PUT', path: /uploads/, times: 2, fault: { kind: 'cut-upload', bytes: 300_000 } }],
];

/** These do not, and no manifest is there then. */
const LYING: readonly (readonly [string, RegExp, ...FaultRule[]])[] = [
  ['always takes less than a PATCH has', /it took bytes "nonsense"/, patch, { method: 'PATCH', times: 99, fault: rangeOf('nonsense') }],
  [
    'stores another digest',
    /it stored/,
    {
      method: 'PUT',
      path: /uploads/,
      fault: { kind: 'edit', headers: (from) => ({ ...from, 'docker-content-digest': `sha256:${'0'.repeat(64)}` }) },
    },
  ],
  ['says 202 to a PUT of a blob', /202/, { method: 'PUT', path: /uploads/, times: 99, fault: says(202) }],
  ['gives no place for an upload', /no usable Location/, { method: 'POST', fault: without('location') }],
  ['never finds its blobs', /MANIFEST_BLOB_UNKNOWN/, { method: 'PUT', path: /manifests/, times: 99, fault: says(400, blobUnknown) }],
  ['has too little room for a blob', /413/, { path: /uploads/, method: 'PUT|PATCH', times: 99, fault: says(413) }],
  [
    'has no quota left',
    /403 DENIED: quota exceeded/,
    { method: 'POST', times: 99, fault: says(403, '{"errors":[{"code":"DENIED","message":"quota exceeded"}]}') },
  ],
];

describe('X27, H10: a push to a registry that answers oddly', { timeout: 120_000 }, () => {
  let registry: TestRegistry;
  let proxy: FaultProxy;
  before(async () => {
    registry = await startRegistry();
    proxy = await startFaultProxy(registry.port);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await registry.stop();
  });
  for (const [index, [name, ...rules]] of ODD.entries()) {
    test(`that ${name}: skopeo finds the image whole`, async (t) => {
      const store = await temporaryStore(t);
      const descriptor = await putImage(store);
      proxy.reset();
      for (const rule of rules) proxy.break(rule);
      await using client = openClient();
      await pushImage({ store, registry: client, emit, signal }, descriptor, parseReference(`${proxy.host}/odd/${index}:1`));
      const wrote = proxy.requests.filter(({ method, path }) => method === 'PUT' && /manifests/.test(path));
      assert.ok(wrote.every(({ path }) => path.endsWith('/1')) && proxy.requests.at(-1) === wrote.at(-1), 'the tag is written last');
      await judge(`${registry.host}/odd/${index}:1`, temporaryDirectory(t));
      countScenarios('X27 odd answers', 1);
    });
  }
  for (const [index, [name, message, ...rules]] of LYING.entries()) {
    test(`that ${name}: an error, and no tag`, async (t) => {
      const store = await temporaryStore(t);
      const descriptor = await putImage(store);
      proxy.reset();
      for (const rule of rules) proxy.break(rule);
      await using client = openClient();
      const push = pushImage({ store, registry: client, emit, signal }, descriptor, parseReference(`${proxy.host}/lie/${index}:1`));
      await assert.rejects(push, { code: /^ERR_TSBUILD_REGISTRY_(ERROR|DENIED)$/, message });
      await assert.rejects(judge(`${registry.host}/lie/${index}:1`, temporaryDirectory(t)), /manifest unknown|name unknown/i);
      countScenarios('X27 odd answers', 1);
    });
  }
});

/** What is known of others' habits, each that differs from docker-registry's. */
const OTHERS: Readonly<Record<string, Habits>> = {
  'Amazon ECR': { pieceMin: 5 * MIB, mount: 'ignored', cdn: 307, headers: { 'docker-distribution-api-version': 'registry/2.0' } },
  'Google Artifact Registry': { ways: ['put', 'patch'], cdn: 302, refusal: { status: 404 } },
  'GitHub Packages': { ways: ['put', 'patch'], bodyMax: 100 * MIB, cdn: 307, range: 'bytes=0-{}' },
  Harbor: { headers: { 'set-cookie': ['sid=1', '_csrf=2'] }, mount: 404, forgets: true },
  'JFrog Artifactory': { silent: true, headers: { warning: '299 - "slow"' }, digestHeader: false },
  Quay: { mount: 'ignored', ways: ['patch', 'pieces'], cdn: 302, range: '0-{}' },
  zot: { location: 'relative', digestHeader: false, ways: ['put', 'pieces'], range: '0-{}' },
  'GitLab Registry': { forgets: true, location: 'moving', cdn: 307 },
  'Azure Container Registry': { location: 'relative', cdn: 307, mount: 'ignored' },
  'Sonatype Nexus': { mount: 405, head: false, patchStatus: 204, range: null, location: 'relative' },
  'a registry of pieces alone': { ways: ['pieces'], refusal: { status: 400, code: 'UNSUPPORTED' }, location: 'moving' },
  'a registry behind a small proxy': { bodyMax: 4 * MIB, location: 'moving', headers: { warning: ['299 - "a"', '299 - "b"'] } },
  'a registry with a pace': { bucket: { size: 3, perSecond: 200 } },
};

describe('X28: registries with habits of their own', { timeout: 120_000 }, () => {
  for (const [name, habits] of Object.entries(OTHERS)) {
    test(`${name}: push, push to another repository, pull, and skopeo`, async (t) => {
      await using registry = await startEmulatedRegistry(habits);
      const store = await temporaryStore(t);
      const descriptor = await putImage(store);
      await using client = openClient({
        dockerConfigDir: dockerConfig({ auths: { [registry.host]: basicAuth('ann', 'SECRET') } }),
        ...(habits.bucket === undefined ? {} : { retry: { baseMs: 20 } }),
      });
      for (const repository of ['one', 'two']) {
        await pushImage({ store, registry: client, emit, signal }, descriptor, parseReference(`${registry.host}/${repository}:1`));
        if (habits.bucket === undefined) await judge(`${registry.host}/${repository}:1`, temporaryDirectory(t));
      }
      const copy = await temporaryStore(t);
      const image = await pullImage({ store: copy, registry: client, emit, signal }, parseReference(`${registry.host}/two:1`), AMD64);
      assert.equal(image.descriptor.digest, descriptor.digest);
      assert.deepEqual(fsck(copy.root), []);
      assert.doesNotMatch(JSON.stringify(registry.cdnSeen), /authorization|SECRET|YW5uOlNFQ1JFVA/i);
      countScenarios('X28 habits', 1);
    });
  }
});

describe('X29: others at the same registry', { timeout: 60_000 }, () => {
  test('two pushes to one tag: both succeed, and the tag is one of them, whole', async (t) => {
    await using registry = await startRegistry();
    const store = await temporaryStore(t);
    const images = [await putImage(store), await putImage(store)];
    for (let round = 0; round < 5; round += 1) {
      const pushes = images.map(async (descriptor) => {
        await using client = openClient();
        await pushImage({ store, registry: client, emit, signal }, descriptor, parseReference(`${registry.host}/both:${round}`));
      });
      await Promise.all(pushes);
      await judge(`${registry.host}/both:${round}`, temporaryDirectory(t));
    }
    countScenarios('X29 others', 5);
  });
  test('a tag that is removed while it is pulled: the pull ends as it began', async (t) => {
    await using registry = await startRegistry();
    await using proxy = await startFaultProxy(registry.port);
    const store = await temporaryStore(t);
    const descriptor = await putImage(store);
    await using client = openClient();
    await pushImage({ store, registry: client, emit, signal }, descriptor, parseReference(`${registry.host}/gone:1`));
    const copy = await temporaryStore(t);
    const reference = parseReference(`${proxy.host}/gone:1`);
    const registryThatForgets = {
      resolve: async (...args: Parameters<typeof client.resolve>) => {
        const resolved = await client.resolve(...args);
        const { ok } = await fetch(`http://${registry.host}/v2/gone/manifests/${descriptor.digest}`, { method: 'DELETE' });
        assert.ok(ok);
        return resolved;
      },
      fetchBlob: client.fetchBlob,
    };
    const image = await pullImage({ store: copy, registry: registryThatForgets, emit, signal }, reference, AMD64);
    assert.equal(image.descriptor.digest, descriptor.digest);
    await assert.rejects(client.resolve(reference, AMD64), { code: 'ERR_TSBUILD_REGISTRY_NOT_FOUND' });
    countScenarios('X29 others', 1);
  });
  test('a registry that may only be read: an error at once, and no retry', async (t) => {
    await using registry = await startRegistry({ readonly: true });
    await using proxy = await startFaultProxy(registry.port);
    const store = await temporaryStore(t);
    await using client = openClient();
    const push = pushImage({ store, registry: client, emit, signal }, await putImage(store), parseReference(`${proxy.host}/read:1`));
    await assert.rejects(push, { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /405/ });
    assert.ok(proxy.requests.filter(({ method }) => method === 'POST').length <= 3);
    countScenarios('X29 others', 1);
  });
});
