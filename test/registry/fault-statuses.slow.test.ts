import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import type { RegistryError } from '../../src/registry/registry-error.ts';
import { app, BLOB, proxy, pull, pushFresh } from './_faulty-registry.ts';
import { AMD64, makeImage, openTestClient } from './_images.ts';

/** Each request that a pull and a push make, and how to make it. */
const ENDPOINTS: readonly { name: string; method: string; path: RegExp; use(client: RegistryClient): Promise<unknown> }[] = [
  { name: 'GET manifest', method: 'GET', path: /\/manifests\//, use: (client) => client.resolve(app(), AMD64) },
  { name: 'GET blob', method: 'GET', path: /\/blobs\/sha256/, use: pull },
  { name: 'HEAD blob', method: 'HEAD', path: /\/blobs\/sha256/, use: (client) => client.hasBlob(app(), BLOB) },
  { name: 'POST upload', method: 'POST', path: /\/uploads\//, use: pushFresh },
  { name: 'PUT upload', method: 'PUT', path: /\/uploads\//, use: pushFresh },
  {
    name: 'PUT manifest',
    method: 'PUT',
    path: /\/manifests\//,
    use: (client) => client.pushManifest(app(), makeImage().bytes, MEDIA_TYPE.manifest),
  },
];

describe('temporary statuses', () => {
  for (const { name, method, path, use } of ENDPOINTS) {
    for (const status of [429, 500, 502, 503, 504, 507, 522]) {
      test(`${name} survives ${status} three times, and gives up after five requests`, async () => {
        await using client = openTestClient();
        proxy.break({ method, path, times: 3, fault: { kind: 'answer', status } });
        await use(client);
        proxy.reset();
        proxy.break({ method, path, times: 100, fault: { kind: 'answer', status } });
        await assert.rejects(use(client), { code: 'ERR_TSBUILD_REGISTRY_ERROR', status });
        assert.equal(proxy.requests.filter((request) => request.method === method && path.test(request.path)).length, 5);
      });
    }
  }
});

describe('lasting statuses', () => {
  const names: readonly [number, string][] = [
    [400, 'ERROR'],
    [403, 'DENIED'],
    [404, 'NOT_FOUND'],
    [413, 'ERROR'],
    [418, 'ERROR'],
    [451, 'ERROR'],
  ];
  for (const [status, name] of names) {
    test(`${status} to a PUT of a manifest is REGISTRY_${name} at once, with the registry's codes and words`, async () => {
      await using client = openTestClient();
      const body = JSON.stringify({ errors: [{ code: 'SOME_CODE', message: 'see https://u:SECRET@host/x?sig=SECRET\u001b[31m' }] });
      proxy.break({ method: 'PUT', times: 9, fault: { kind: 'answer', status, body } });
      await assert.rejects(client.pushManifest(app(), makeImage().bytes, MEDIA_TYPE.manifest), (error: RegistryError) => {
        assert.equal(error.code, `ERR_TSBUILD_REGISTRY_${name}`);
        assert.equal(error.message, `Cannot push ${proxy.host}/app:1: ${status} SOME_CODE: see https://host/x`);
        return true;
      });
      assert.equal(proxy.requests.filter(({ method }) => method === 'PUT').length, 1);
    });
  }
});

describe('Retry-After', () => {
  const now = Date.parse('Thu, 01 Jan 2026 00:00:00 GMT');
  const cases: readonly [string, number][] = [
    ['7', 7000],
    ['0', 0],
    ['100000', 60_000],
    ['Thu, 01 Jan 2026 00:00:09 GMT', 9000],
    ['Wed, 31 Dec 2025 00:00:09 GMT', 1000],
    ['-5', 1000],
    ['soon', 1000],
    ['1e9', 1000],
  ];
  for (const [header, expected] of cases) {
    for (const status of [429, 503]) {
      test(`${JSON.stringify(header)} with ${status} waits ${expected} ms`, async () => {
        const waits: number[] = [];
        const sleep = async (ms: number): Promise<void> => void waits.push(ms);
        await using client = openTestClient({ retry: { sleep, random: () => 0, now: () => now } });
        proxy.break({ fault: { kind: 'answer', status, headers: { 'retry-after': header } } });
        await client.resolve(app(), AMD64);
        assert.deepEqual(waits, [expected]);
      });
    }
  }
});
