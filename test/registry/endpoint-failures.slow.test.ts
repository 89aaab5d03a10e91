/** X20: each endpoint × each status that may go away × once, three times, for ever; before the real registry, where it has the endpoint. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import type { Reference } from '../../src/oci/reference.ts';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import { app, BLOB, BYTES, evil, fresh, MIB, proxy, pull } from './_faulty-registry.ts';
import { AMD64, basicAuth, blobOf, chunked, collect, dockerConfig, makeImage, openTestClient, pushImage, refOf } from './_images.ts';
import { countScenarios } from './_scenarios.ts';
import { startTokenServer, type TokenServer } from './_token-server.ts';
import type { Fault } from './fault-proxy.ts';

const STATUSES = [500, 502, 503, 504, 507, 522];
const FOR_EVER = 1000;
const ATTEMPTS = 5;

interface Endpoint {
  readonly method: string;
  readonly path: RegExp;
  /** Another host has it. */
  readonly at?: 'evil';
  /** Breaks what leads there. */
  prepare?(): void;
  use(client: RegistryClient): Promise<unknown>;
  /** The first failure is that of the preparation. */
  readonly failsBefore?: true;
  /** Where there is a way around. */
  readonly endsWell?: true;
}

const image = makeImage();
const config = image.blobs[0]?.descriptor as Descriptor;
const index = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [{ ...image.descriptor, platform: AMD64 }] }),
);
const multi = () => refOf(proxy.host, 'app:multi');
const push = async (client: RegistryClient, reference: Reference = fresh(), mountFrom: readonly string[] = []) =>
  await client.pushBlob(reference, BLOB, () => chunked(BYTES), mountFrom);
const noPut = (): void =>
  proxy.break({ method: 'PUT', path: /uploads/, body: true, times: FOR_EVER, fault: { kind: 'answer', status: 405 } });
const redirect = (): Fault => ({
  kind: 'answer',
  status: 307,
  headers: { location: `http://${evil.host}/v2/app/blobs/${BLOB.digest}?sig=1` },
});

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  'GET of a manifest by tag': { method: 'GET', path: /manifests\/1$/, use: async (client) => await client.resolve(app(), AMD64) },
  'GET of a manifest by digest': {
    ...{ method: 'GET', path: /manifests\/sha256/ },
    use: async (client) => await client.resolve({ ...app(), digest: image.descriptor.digest }, AMD64),
  },
  'GET of an index': { method: 'GET', path: /manifests\/multi$/, use: async (client) => await client.resolve(multi(), AMD64) },
  'GET of a manifest of an index': {
    method: 'GET',
    path: /manifests\/sha256/,
    use: async (client) => await client.resolve(multi(), AMD64),
  },
  'GET of a config': { method: 'GET', path: /blobs/, use: async (client) => await collect(client.fetchBlob(app(), config)) },
  'GET of a layer': { method: 'GET', path: /blobs/, use: pull },
  'GET of the rest of a layer': {
    ...{ method: 'GET', path: /blobs/, use: pull, failsBefore: true },
    prepare: () => proxy.break({ path: /blobs/, fault: { kind: 'cut-response', bytes: 500_000 } }),
  },
  'GET of a layer at another host': {
    ...{ method: 'GET', path: /blobs/, at: 'evil', use: pull },
    prepare: () => proxy.break({ method: 'GET', path: /blobs/, times: FOR_EVER, fault: redirect() }),
  },
  'HEAD of a blob': { method: 'HEAD', path: /blobs/, use: async (client) => await client.hasBlob(app(), BLOB) },
  'POST of an upload': { method: 'POST', path: /uploads\/$/, use: push },
  'POST of a mount': { method: 'POST', path: /mount=/, use: async (client) => await push(client, fresh(), ['app']) },
  'PUT of a blob': { method: 'PUT', path: /uploads/, use: push },
  'PATCH of an upload': { method: 'PATCH', path: /uploads/, prepare: noPut, use: push },
  'PUT after a PATCH': { method: 'PUT', path: /uploads/, prepare: noPut, use: push },
  'GET of an upload': {
    ...{ method: 'GET', path: /uploads/, use: push, endsWell: true },
    prepare: () => proxy.break({ method: 'PUT', path: /uploads/, fault: { kind: 'cut-upload', bytes: 300_000 } }),
  },
  'PUT of a manifest by tag': {
    ...{ method: 'PUT', path: /manifests/ },
    use: async (client) => await client.pushManifest(app(), image.bytes, image.descriptor.mediaType),
  },
  'PUT of a manifest by digest': {
    ...{ method: 'PUT', path: /manifests/ },
    use: async (client) =>
      await client.pushManifest({ ...refOf(proxy.host, 'app'), digest: image.descriptor.digest }, image.bytes, image.descriptor.mediaType),
  },
  'PUT of an index': {
    method: 'PUT',
    path: /manifests/,
    use: async (client) => await client.pushManifest(multi(), index, MEDIA_TYPE.index),
  },
};

async function scenario({ method, path, at, prepare, use, failsBefore, endsWell }: Endpoint, status: number, times: number): Promise<void> {
  const waits: number[] = [];
  await using client = openTestClient({ retry: { sleep: async (ms) => void waits.push(ms), random: () => 0 } });
  const host = at === 'evil' ? evil : proxy;
  proxy.reset();
  evil.reset();
  prepare?.();
  host.break({ method, path, times, fault: { kind: 'answer', status, body: '<html>busy</html>' } });
  const isLost = times >= ATTEMPTS && endsWell !== true;
  if (isLost) {
    await assert.rejects(use(client), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_TSBUILD_REGISTRY_ERROR');
      assert.match(error.message, new RegExp(`^Cannot (pull|push|look for) .*: ${status}$`));
      return true;
    });
  } else await use(client);
  const failed = Math.min(times + (failsBefore === true ? 1 : 0), ATTEMPTS - 1);
  assert.deepEqual(waits.slice(-failed), [1000, 2000, 4000, 8000].slice(0, failed));
}

describe('X20: an endpoint that fails', { timeout: 120_000 }, () => {
  before(async () => {
    await using client = openTestClient();
    await pushImage(client, app(), image);
    await client.pushManifest(multi(), index, MEDIA_TYPE.index);
  });
  for (const [name, endpoint] of Object.entries(ENDPOINTS)) {
    for (const [often, times] of [
      ['once', 1],
      ['three times', 3],
      ['for ever', FOR_EVER],
    ] as const) {
      test(`${name}, ${often}: ${times < ATTEMPTS || endpoint.endsWell === true ? 'goes on' : 'an error'}`, async () => {
        for (const status of STATUSES) await scenario(endpoint, status, times);
        countScenarios('X20 endpoints', STATUSES.length);
      });
    }
  }
});

describe('X20: a token server that fails', { timeout: 60_000 }, () => {
  const user = { name: 'bob', password: 'token-password', identityToken: 'identity-secret' };
  let tokens: TokenServer;
  before(async () => {
    tokens = await startTokenServer(user);
  });
  after(() => tokens[Symbol.asyncDispose]());
  const logins = { GET: basicAuth(user.name, user.password), POST: { identitytoken: user.identityToken } };
  for (const [method, login] of Object.entries(logins)) {
    for (const [often, times] of [
      ['once', 1],
      ['three times', 3],
      ['for ever', FOR_EVER],
    ] as const) {
      test(`${method} of a token, ${often}`, async () => {
        for (const status of STATUSES) {
          proxy.reset();
          const challenge = `Bearer realm="${tokens.realm}",service="test-service"`;
          proxy.break({ fault: { kind: 'answer', status: 401, headers: { 'www-authenticate': challenge } } });
          tokens.failures = Array.from({ length: Math.min(times, 50) }, () => status);
          tokens.requests.length = 0;
          await using client = openTestClient({ dockerConfigDir: dockerConfig({ auths: { [proxy.host]: login } }) });
          if (times < ATTEMPTS) assert.ok(await client.hasBlob(app(), BLOB));
          else
            await assert.rejects(client.hasBlob(app(), BLOB), {
              code: 'ERR_TSBUILD_REGISTRY_ERROR',
              message: new RegExp(`token server .* ${status}$`),
            });
          assert.equal(tokens.requests.length, times < ATTEMPTS ? times + 1 : ATTEMPTS);
          tokens.failures = [];
        }
        countScenarios('X20 token server', STATUSES.length);
      });
    }
  }
});

test('X20: a blob that fails does not end the others', async () => {
  await using client = openTestClient();
  const others = Array.from({ length: 5 }, (_, i) => Buffer.alloc(MIB / 4, i + 1));
  proxy.break({ method: 'PUT', path: new RegExp(encodeURIComponent(BLOB.digest)), times: 3, fault: { kind: 'answer', status: 503 } });
  const reference = fresh();
  const pushes = [
    push(client, reference),
    ...others.map(async (bytes) => await client.pushBlob(reference, blobOf(bytes), () => chunked(bytes), [])),
  ];
  assert.deepEqual(new Set(await Promise.all(pushes)), new Set(['pushed']));
});
