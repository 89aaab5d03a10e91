import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { app, endless, MIB, proxy, withoutDigest } from './_faulty-registry.ts';
import { AMD64, makeImage, openTestClient, refOf } from './_images.ts';
import type { Fault } from './fault-proxy.ts';

describe('manifests that lie', () => {
  const edits: readonly [string, (document: Record<string, unknown>) => unknown][] = [
    ['both config and manifests', (manifest) => ({ ...manifest, manifests: [] })],
    ['no layers', ({ layers: _, ...manifest }) => manifest],
    ['no config', ({ config: _, ...manifest }) => manifest],
    ['schemaVersion 1', (manifest) => ({ ...manifest, schemaVersion: 1 })],
    ['another mediaType than its Content-Type', (manifest) => ({ ...manifest, mediaType: MEDIA_TYPE.dockerManifest })],
    ['an index mediaType', (manifest) => ({ ...manifest, mediaType: MEDIA_TYPE.index })],
    [
      'a digest that is a path',
      (manifest) => ({ ...manifest, config: { ...(manifest.config as object), digest: 'sha256:../../etc/passwd' } }),
    ],
    ['a negative size', (manifest) => ({ ...manifest, config: { ...(manifest.config as object), size: -1 } })],
    ['a size beyond 2^53', (manifest) => ({ ...manifest, config: { ...(manifest.config as object), size: 2 ** 63 } })],
    ['an array', (manifest) => [manifest]],
    ['a number', () => 7],
    ['100,000 layers', (manifest) => ({ ...manifest, layers: Array(100_000).fill(0) })],
  ];
  for (const [name, change] of edits) {
    test(`resolve() refuses ${name}`, async () => {
      await using client = openTestClient();
      const body = (bytes: Buffer): Buffer => Buffer.from(JSON.stringify(change(JSON.parse(bytes.toString('utf8')))));
      proxy.break({ path: /manifests/, fault: { kind: 'edit', body, headers: withoutDigest } });
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_IMAGE_INVALID' });
    });
  }

  const headers: readonly [string, string][] = [
    ['another digest', `sha256:${'a'.repeat(64)}`],
    ['an unknown algorithm', `md5:${'a'.repeat(32)}`],
    ['a wrong sha512', `sha512:${'a'.repeat(128)}`],
    ['upper case', `SHA256:${'A'.repeat(64)}`],
    ['nonsense', 'x'],
    ['an empty one', ''],
  ];
  for (const [name, value] of headers) {
    test(`H11 resolve() refuses a Docker-Content-Digest with ${name}`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /manifests/, fault: { kind: 'edit', headers: (from) => ({ ...from, 'docker-content-digest': value }) } });
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
    });
  }

  test('resolve() by digest refuses other bytes', async () => {
    await using client = openTestClient();
    const other = makeImage('other').bytes;
    proxy.break({ path: /manifests/, fault: { kind: 'edit', headers: withoutDigest, body: () => other } });
    const digest: Digest = makeImage().descriptor.digest;
    await assert.rejects(client.resolve(refOf(proxy.host, `app@${digest}`), AMD64), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
  });

  test('resolve() refuses another Content-Type, and takes parameters', async () => {
    await using client = openTestClient();
    const typed = (type: string): Fault => ({ kind: 'edit', headers: (from) => ({ ...from, 'content-type': type }) });
    proxy.break({ path: /manifests/, fault: typed('text/html') });
    await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_IMAGE_INVALID' });
    proxy.break({ path: /manifests/, fault: typed(`${MEDIA_TYPE.manifest}; charset=utf-8`) });
    await client.resolve(app(), AMD64);
  });

  test('resolve() takes a manifest of exactly 4 MiB and refuses one byte more', async () => {
    await using client = openTestClient();
    for (const size of [4 * MIB, 4 * MIB + 1]) {
      const body = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(size - bytes.length, ' ')]);
      proxy.break({ path: /manifests/, fault: { kind: 'edit', body, headers: withoutDigest } });
      const resolved = client.resolve(app(), AMD64);
      if (size === 4 * MIB) assert.equal((await resolved).manifestBytes.length, size);
      else await assert.rejects(resolved, { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /larger than 4194304 bytes$/ });
    }
  });

  test('resolve() refuses an index of itself', async () => {
    await using client = openTestClient();
    const manifests = [{ mediaType: MEDIA_TYPE.index, digest: makeImage().descriptor.digest, size: 5, platform: AMD64 }];
    const body = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests });
    proxy.break({
      path: /manifests/,
      times: 99,
      fault: { kind: 'answer', status: 200, headers: { 'content-type': MEDIA_TYPE.index }, body },
    });
    await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
  });

  for (const [name, status] of [
    ['a manifest', 200],
    ['an error', 500],
  ] as const) {
    test(`F5 resolve() bounds an endless body of ${name}`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /manifests/, times: 99, fault: { kind: 'answer', status, body: endless } });
      const start = Date.now();
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_ERROR' });
      assert.ok(Date.now() - start < 4000);
    });
  }

  test('H12 resolve() refuses endless headers', async () => {
    await using client = openTestClient();
    proxy.break({ times: 9, fault: { kind: 'answer', status: 200, headers: { 'x-long': 'x'.repeat(100_000) } } });
    await assert.rejects(client.resolve(app(), AMD64), { message: /its headers are too large$/ });
  });
});
