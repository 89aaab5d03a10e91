import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import { app, BLOB, BYTES, endless, MIB, proxy, pull, pushFresh } from './_faulty-registry.ts';
import { AMD64, makeImage, noise, openTestClient } from './_images.ts';
import type { Fault } from './fault-proxy.ts';

describe('broken downloads', () => {
  for (const at of [0, 1, 100]) {
    test(`resolve() asks again after a reset at byte ${at} of a manifest`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /manifests/, times: 2, fault: { kind: 'cut-response', bytes: at } });
      assert.deepEqual((await client.resolve(app(), AMD64)).manifestBytes, makeImage().bytes);
    });
  }

  test('a body that trickles is given up like one that stalls', async () => {
    await using client = openTestClient({ idleMs: 200 });
    proxy.break({ path: /blobs/, times: 99, fault: { kind: 'drip', everyMs: 50 } });
    await assert.rejects(pull(client), { message: /: the answer stalled$/ });
  });

  for (const at of [0, 1, 1000, 64 * 1024, 300_000, MIB - 1]) {
    test(`fetchBlob() resumes after a reset at byte ${at} and asks for nothing twice`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, fault: { kind: 'cut-response', bytes: at } });
      assert.deepEqual(await pull(client), BYTES);
      const ranges = proxy.requests.map(({ headers }) => headers.range);
      assert.deepEqual(ranges.slice(0, 1), [undefined]);
      assert.ok(at < 64 * 1024 || /^bytes=[1-9]/.test(ranges[1] ?? ''), `ranges ${ranges}`);
    });
    test(`fetchBlob() resumes after a clean end at byte ${at}`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, fault: { kind: 'truncate', bytes: at } });
      assert.deepEqual(await pull(client), BYTES);
    });
  }

  test('fetchBlob() resumes again and again while bytes come', async () => {
    await using client = openTestClient();
    proxy.break({ path: /blobs/, times: 12, fault: { kind: 'cut-response', bytes: 80_000 } });
    assert.deepEqual(await pull(client), BYTES);
    assert.equal(proxy.requests.length, 13);
  });

  test('fetchBlob() gives up where no byte comes', async () => {
    await using client = openTestClient();
    proxy.break({ path: /blobs/, times: 100, fault: { kind: 'cut-response', bytes: 0 } });
    await assert.rejects(pull(client), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' });
    assert.equal(proxy.requests.length, 5);
  });

  test('fetchBlob() gives up where each connection brings one byte', async () => {
    await using client = openTestClient();
    proxy.break({ path: /blobs/, times: 1000, fault: { kind: 'truncate', bytes: 1 } });
    await assert.rejects(pull(client), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE', message: /the answer ended early$/ });
    assert.ok(proxy.requests.length <= 40);
  });

  test('fetchBlob() takes a server that ignores Range', async () => {
    await using client = openTestClient();
    proxy.break({ path: /blobs/, fault: { kind: 'cut-response', bytes: 500_000 } });
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 200, body: BYTES } });
    assert.deepEqual(await pull(client), BYTES);
  });

  test('fetchBlob() refuses another range than it asked for', async () => {
    await using client = openTestClient();
    proxy.break({ path: /blobs/, fault: { kind: 'cut-response', bytes: 500_000 } });
    const headers = { 'content-range': `bytes 5-${MIB - 1}/${MIB}` };
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 206, headers, body: BYTES.subarray(5) } });
    await assert.rejects(pull(client), {
      code: 'ERR_TSBUILD_DIGEST_MISMATCH',
      message: /expected bytes \d+-1048575\/1048576, found "bytes 5-1048575\/1048576"$/,
    });
  });

  test("fetchBlob() refuses a resumed end that is not the blob's", async () => {
    await using client = openTestClient();
    proxy.break({ path: /blobs/, fault: { kind: 'cut-response', bytes: 500_000 } });
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 200, body: noise(MIB, 43) } });
    await assert.rejects(pull(client), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
  });

  const lies: readonly [string, Fault][] = [
    ['other bytes of the same length', { kind: 'edit', body: () => noise(MIB, 9) }],
    ['one byte changed', { kind: 'edit', body: (body) => Buffer.concat([Buffer.from([1 ^ (body[0] ?? 0)]), body.subarray(1)]) }],
    ['one byte more', { kind: 'edit', body: (body) => Buffer.concat([body, Buffer.alloc(1)]) }],
    ['a byte before', { kind: 'edit', body: (body) => Buffer.concat([Buffer.alloc(1), body]) }],
    ['an endless body', { kind: 'answer', status: 200, body: endless }],
    ['an error page with 200', { kind: 'edit', body: () => Buffer.alloc(2 * MIB, 'oops ') }],
  ];
  for (const [name, fault] of lies) {
    test(`fetchBlob() refuses ${name}`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, times: 9, fault });
      const start = process.memoryUsage().rss;
      await assert.rejects(pull(client), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
      assert.ok(process.memoryUsage().rss - start < 200 * MIB);
    });
  }

  test('fetchBlob() ends a download that stalls, naming the host', async () => {
    await using client = openTestClient({ idleMs: 300 });
    proxy.break({ path: /blobs/, times: 9, fault: { kind: 'stall', bytes: 1000 } });
    await assert.rejects(pull(client), {
      code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE',
      message: `Cannot pull blob ${BLOB.digest} of ${proxy.host}/app: ${proxy.host}: the answer stalled`,
    });
  });

  test('resolve() ends where no answer comes', async () => {
    await using client = openTestClient({ idleMs: 300 });
    proxy.break({ times: 9, fault: { kind: 'stall', bytes: -1 } });
    await assert.rejects(client.resolve(app(), AMD64), { message: /: no answer in time$/ });
    assert.equal(proxy.requests.length, 1);
  });
});

describe('aborts', () => {
  const moments: readonly [string, Fault, (client: RegistryClient) => Promise<unknown>][] = [
    ['while no answer comes', { kind: 'stall', bytes: -1 }, (client) => client.resolve(app(), AMD64)],
    ['while a body stalls', { kind: 'stall', bytes: 10 }, pull],
    ['while a push is not taken', { kind: 'stall', bytes: -1 }, pushFresh],
  ];
  for (const [moment, fault, use] of moments) {
    test(`an abort ${moment} throws the caller's reason at once`, async () => {
      const controller = new AbortController();
      await using client = openTestClient({ signal: controller.signal });
      const reason = new TsbuildError('INTERRUPTED', 'Cannot go on: SIGINT');
      proxy.break({ times: 9, fault });
      setTimeout(() => controller.abort(reason), 50);
      const start = Date.now();
      await assert.rejects(use(client), (error) => error === reason);
      assert.ok(Date.now() - start < 3000);
    });
  }
});
