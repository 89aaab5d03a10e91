/** Mirrors in front of a registry: both are real, and the mirror breaks. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Reference } from '../../src/oci/reference.ts';
import { MirrorError } from '../../src/registry/mirrored.ts';
import { parseRegistries, type Registries } from '../../src/registry/registries.ts';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { AMD64, basicAuth, blobOf, chunked, collect, dockerConfig, makeImage, noise, openTestClient, pushImage, refOf } from './_images.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

let behind: TestRegistry;
let mirror: FaultProxy;
let own: FaultProxy;
let ownRegistry: TestRegistry;
const [IMAGE, OTHER] = [makeImage('amd64'), makeImage('amd64')];
const BYTES = noise(500_000, 77);
const notices: string[] = [];

before(async () => {
  [behind, ownRegistry] = [await startRegistry(), await startRegistry()];
  [mirror, own] = [await startFaultProxy(behind.port), await startFaultProxy(ownRegistry.port)];
  await using client = openTestClient();
  for (const host of [`${behind.host}/cache`, ownRegistry.host]) {
    await pushImage(client, refOf(host, 'app:1'), IMAGE);
    await client.pushBlob(refOf(host, 'app:1'), blobOf(BYTES), () => chunked(BYTES), []);
  }
  await pushImage(client, refOf(ownRegistry.host, 'app:new'), OTHER);
});
after(async () => {
  for (const closing of [mirror, own]) await closing[Symbol.asyncDispose]();
  for (const registry of [behind, ownRegistry]) await registry.stop();
});
beforeEach(() => {
  mirror.reset();
  own.reset();
  notices.length = 0;
});

const configured = (settings: object): Registries =>
  parseRegistries(Buffer.from(JSON.stringify({ registries: { [own.host]: settings } })), 'registries.json');
const open = (settings: object, options: Parameters<typeof openTestClient>[0] = {}): RegistryClient & AsyncDisposable =>
  openTestClient({ registries: configured(settings), onNotice: (notice) => notices.push(notice), ...options });
const mirrored = () => ({ mirrors: [`${mirror.host}/cache`] });
const app = (tag = '1'): Reference => refOf(own.host, `app:${tag}`);
const paths = ({ requests }: FaultProxy): string[] => requests.map(({ method, path }) => `${method} ${path}`);

test('a pull asks the mirror, and the registry nothing', async () => {
  await using client = open(mirrored());
  const resolved = await client.resolve(app(), AMD64);
  assert.deepEqual([resolved.descriptor.digest, resolved.mirror], [IMAGE.descriptor.digest, mirror.host]);
  assert.deepEqual(await collect(client.fetchBlob(app(), blobOf(BYTES))), BYTES);
  assert.deepEqual(paths(mirror), ['GET /v2/cache/app/manifests/1', `GET /v2/cache/app/blobs/${blobOf(BYTES).digest}`]);
  assert.deepEqual([paths(own), notices], [[], []]);
});

test('what the mirror does not have comes from the registry, without a word', async () => {
  await using client = open(mirrored());
  assert.equal((await client.resolve(app('new'), AMD64)).mirror, undefined);
  assert.deepEqual([mirror.requests.length, own.requests.length, notices], [1, 1, []]);
});

test('a mirror that fails is told of once and not asked again', async () => {
  mirror.break({ times: 99, fault: { kind: 'answer', status: 401 } });
  await using client = open(mirrored());
  for (const tag of ['1', 'new']) await client.resolve(app(tag), AMD64);
  assert.deepEqual(await collect(client.fetchBlob(app(), blobOf(BYTES))), BYTES);
  assert.equal(mirror.requests.length, 1);
  assert.deepEqual(notices, [`The mirror ${mirror.host} failed: Cannot pull ${mirror.host}/cache/app:1: 401`]);
});

test('mirrors are asked in their order, one that is not there as well', async () => {
  await using client = open({ mirrors: ['127.0.0.1:1', `${mirror.host}/nothing`, `${mirror.host}/cache`] });
  assert.equal((await client.resolve(app(), AMD64)).mirror, mirror.host);
  assert.deepEqual(paths(mirror), ['GET /v2/nothing/app/manifests/1', 'GET /v2/cache/app/manifests/1']);
  assert.match(notices.join(), /^The mirror 127\.0\.0\.1:1 failed: .*refused$/);
});

test('a mirror that gives another manifest for a digest is passed over', async () => {
  mirror.break({ fault: { kind: 'edit', body: (body) => Buffer.from(body.toString().replace('schemaVersion', 'schemaversion')) } });
  await using client = open(mirrored());
  const { digest } = IMAGE.descriptor;
  const resolved = await client.resolve({ registry: own.host, repository: 'app', digest }, AMD64);
  assert.deepEqual([resolved.descriptor.digest, resolved.mirror], [digest, undefined]);
  assert.match(notices.join(), /failed: Cannot accept the manifest/);
});

for (const [what, fault] of [
  ['changes a blob', { kind: 'edit', body: (body: Buffer) => Buffer.concat([body.subarray(1), Buffer.from('x')]) }],
  ['stops in a blob', { kind: 'answer', status: 200, body: BYTES.subarray(0, 1000) }],
] as const) {
  test(`a mirror that ${what} makes the caller ask again, and then the registry answers`, async () => {
    mirror.break({ path: /blobs/, times: 99, fault });
    await using client = open(mirrored(), { retry: { attempts: 1 } });
    await assert.rejects(collect(client.fetchBlob(app(), blobOf(BYTES))), (error) => error instanceof MirrorError);
    assert.deepEqual(await collect(client.fetchBlob(app(), blobOf(BYTES))), BYTES);
    assert.equal(notices.length, 1);
  });
}

test('pushes never go to a mirror', async () => {
  await using client = open(mirrored());
  await pushImage(client, app('pushed'), makeImage('arm64'));
  assert.deepEqual(paths(mirror), []);
});

test('an error of the registry says what the mirrors said', async () => {
  mirror.break({ fault: { kind: 'answer', status: 403 } });
  await using client = open(mirrored());
  await assert.rejects(client.resolve(app('none'), AMD64), {
    code: 'ERR_TSBUILD_REGISTRY_NOT_FOUND',
    message: new RegExp(`^Cannot pull ${own.host}/app:none: 404`),
    hint: /Mirrors were asked before: Cannot pull .*\/cache\/app:none: 403/,
  });
});

test('a mirror gets its own credentials and never those of the registry', async () => {
  const challenge = { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } } as const;
  mirror.break({ fault: challenge });
  own.break({ fault: challenge });
  const config = dockerConfig({ auths: { [own.host]: basicAuth('ann', 'own'), [`${mirror.host}/cache`]: basicAuth('ann', 'mirror') } });
  await using client = open(mirrored(), { dockerConfigDir: config });
  await client.resolve(app(), AMD64);
  await client.resolve(app('new'), AMD64);
  const said = ({ requests }: FaultProxy): (string | undefined)[] => [...new Set(requests.map(({ headers }) => headers.authorization))];
  assert.deepEqual(said(mirror), [undefined, `Basic ${basicAuth('ann', 'mirror').auth}`]);
  assert.deepEqual(said(own), [undefined, `Basic ${basicAuth('ann', 'own').auth}`]);
});

test('an interruption does not go on to the registry', async () => {
  const abort = new AbortController();
  mirror.break({ fault: { kind: 'stall', bytes: -1 } });
  await using client = open(mirrored(), { signal: abort.signal });
  setTimeout(() => abort.abort(), 100);
  await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_INTERRUPTED' });
  assert.deepEqual([own.requests.length, notices], [0, []]);
});

test('a location is where a registry is, for pulls, pushes and mounts', async () => {
  const client = openTestClient({
    registries: parseRegistries(Buffer.from(JSON.stringify({ registries: { 'old.example': { location: `${own.host}/moved` } } })), 'r'),
  });
  const bytes = noise(1000, 3);
  await client.pushBlob(refOf('old.example', 'a:1'), blobOf(bytes), () => chunked(bytes), []);
  assert.equal(await client.pushBlob(refOf('old.example', 'b:1'), blobOf(bytes), () => chunked(bytes), ['a']), 'mounted');
  await pushImage(client, refOf('old.example', 'a:1'), IMAGE);
  await client.close();
  await using direct = openTestClient();
  assert.equal((await direct.resolve(refOf(ownRegistry.host, 'moved/a:1'), AMD64)).descriptor.digest, IMAGE.descriptor.digest);
});
