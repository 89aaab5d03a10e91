import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseReference } from '../../src/oci/reference.ts';
import type { RegistryError } from '../../src/registry/registry-error.ts';
import type { TransferProgress } from '../../src/registry/transfer-progress.ts';
import { makeCertificate } from './_certificate.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { AMD64, blobOf, chunked, collect, makeImage, noise, openTestClient, pushImage, refOf } from './_images.ts';
import { temporaryDirectory } from './_temporary.ts';

describe('openRegistryClient() with a plain registry', () => {
  let registry: TestRegistry;
  before(async () => {
    registry = await startRegistry();
  });
  after(() => registry.stop());

  test('pushes an image that resolve() and fetchBlob() give back byte for byte', async () => {
    await using client = openTestClient();
    const reference = refOf(registry.host, 'round/trip:1');
    const image = makeImage();
    await pushImage(client, reference, image);
    const resolved = await client.resolve(reference, AMD64);
    assert.deepEqual(resolved.descriptor, image.descriptor);
    assert.deepEqual(resolved.manifestBytes, image.bytes);
    for (const { descriptor, bytes } of image.blobs) assert.deepEqual(await collect(client.fetchBlob(reference, descriptor)), bytes);
  });

  test('pushes an image that skopeo copies and verifies', async () => {
    await using client = openTestClient();
    const image = makeImage();
    await pushImage(client, refOf(registry.host, 'for/skopeo:1'), image);
    const target = temporaryDirectory();
    execFileSync('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${registry.host}/for/skopeo:1`, `dir:${target}`]);
    assert.deepEqual(readFileSync(join(target, 'manifest.json')), image.bytes);
  });

  test('pulls an image that skopeo pushed', async () => {
    await using client = openTestClient();
    const image = makeImage();
    await pushImage(client, refOf(registry.host, 'from/us:1'), image);
    const [from, to] = ['from/us:1', 'from/skopeo:1'].map((name) => `docker://${registry.host}/${name}`);
    execFileSync('skopeo', ['copy', '-q', '--src-tls-verify=false', '--dest-tls-verify=false', '--format', 'v2s2', `${from}`, `${to}`]);
    const { manifest } = await client.resolve(refOf(registry.host, 'from/skopeo:1'), AMD64);
    assert.equal(manifest.mediaType, MEDIA_TYPE.dockerManifest);
    assert.equal(manifest.layers.length, 1);
  });

  test('resolve() takes the digest of a reference before its tag', async () => {
    await using client = openTestClient();
    const image = makeImage();
    await pushImage(client, refOf(registry.host, 'by/digest:1'), image);
    const reference = refOf(registry.host, `by/digest:absent@${image.descriptor.digest}`);
    assert.equal((await client.resolve(reference, AMD64)).descriptor.digest, image.descriptor.digest);
  });

  test('resolve() follows an index to the manifest of the platform', async () => {
    await using client = openTestClient();
    const reference = refOf(registry.host, 'multi/arch:1');
    const platforms = ['amd64', 'arm64'];
    const manifests: Descriptor[] = [];
    for (const architecture of platforms) {
      const image = makeImage(architecture);
      await pushImage(client, refOf(registry.host, `multi/arch@${image.descriptor.digest}`), image);
      manifests.push({ ...image.descriptor, platform: { os: 'linux', architecture } });
    }
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }));
    await client.pushManifest(reference, index, MEDIA_TYPE.index);
    const resolved = await client.resolve(reference, { os: 'linux', architecture: 'arm64' });
    assert.equal(resolved.descriptor.digest, manifests[1]?.digest);
    await assert.rejects(client.resolve(reference, { os: 'linux', architecture: 's390x' }), {
      code: 'ERR_TSBUILD_PLATFORM_NOT_FOUND',
      hint: 'It has linux/amd64, linux/arm64; choose with --platform.',
    });
  });

  test('pushBlob() says exists for what is there, mounted for what a sister repository has, pushed otherwise', async () => {
    await using client = openTestClient();
    const bytes = noise(300_000, 7);
    const blob = blobOf(bytes);
    const [first, second, third] = ['m/one:1', 'm/two:1', 'm/three:1'].map((name) => refOf(registry.host, name));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const open = () => chunked(bytes);
    const unread = () => assert.fail('the blob was read');
    assert.equal(await client.pushBlob(first, blob, open, []), 'pushed');
    assert.equal(await client.pushBlob(first, blob, unread, []), 'exists');
    assert.equal(await client.pushBlob(second, blob, unread, ['m/absent', 'm/one']), 'mounted');
    assert.equal(await client.pushBlob(third, blob, open, ['m/absent']), 'pushed');
    assert.deepEqual(await collect(client.fetchBlob(second, blob)), bytes);
  });

  test('pushBlob() pushes an empty blob and one of many megabytes, and reports their progress', async () => {
    const seen: TransferProgress[] = [];
    await using client = openTestClient({ onProgress: (progress) => void seen.push(progress) });
    const reference = refOf(registry.host, 'sizes:1');
    for (const bytes of [Buffer.alloc(0), noise(12_000_000, 3)]) {
      const blob = blobOf(bytes);
      assert.equal(await client.pushBlob(reference, blob, () => chunked(bytes, 1 << 20), []), 'pushed');
      assert.deepEqual(await collect(client.fetchBlob(reference, blob)), bytes);
    }
    for (const direction of ['push', 'pull']) {
      const last = seen.filter((progress) => progress.direction === direction).at(-1);
      assert.equal(last?.bytes, 12_000_000);
      assert.equal(last?.total, 12_000_000);
    }
  });

  test('pushBlob() refuses a source whose bytes are not those of the digest', async () => {
    await using client = openTestClient();
    const blob = blobOf(noise(1000, 11));
    const wrong = client.pushBlob(refOf(registry.host, 'wrong:1'), blob, () => chunked(noise(1000, 12)), []);
    await assert.rejects(wrong, { code: 'ERR_TSBUILD_REGISTRY_ERROR', status: 400, codes: ['DIGEST_INVALID'] });
    assert.equal(await client.hasBlob(refOf(registry.host, 'wrong:1'), blob), false);
  });

  for (const size of [999, 1001]) {
    test(`pushBlob() refuses a source of ${size} bytes for a blob of 1000`, async () => {
      await using client = openTestClient();
      const blob = blobOf(noise(1000, 13));
      const pushed = client.pushBlob(refOf(registry.host, 'short:1'), blob, () => chunked(noise(size, 13)), []);
      await assert.rejects(pushed, { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
    });
  }

  test('pushBlob() sends no whole blob whose source finds at its end that it is wrong', async () => {
    await using client = openTestClient();
    const rotten = Object.assign(new Error('rotten'), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
    const pushed = client.pushBlob(
      refOf(registry.host, 'rotten:1'),
      blobOf(noise(1000, 14)),
      async function* () {
        yield noise(1000, 15);
        // Time enough for the registry's verdict, if it had something to judge.
        await sleep(300);
        throw rotten;
      },
      [],
    );
    await assert.rejects(pushed, (error) => error === rotten);
  });

  test('pushBlob() lets an error of its source through as it is', async () => {
    await using client = openTestClient();
    const broken = Object.assign(new Error('gone'), { code: 'ENOENT' });
    const pushed = client.pushBlob(
      refOf(registry.host, 'broken:1'),
      blobOf(noise(100_000)),
      async function* () {
        yield noise(10);
        throw broken;
      },
      [],
    );
    await assert.rejects(pushed, (error) => error === broken);
  });

  test('names what is missing: repository, tag, blob', async () => {
    await using client = openTestClient();
    await pushImage(client, refOf(registry.host, 'there:1'), makeImage());
    for (const name of ['absent:1', 'there:2']) {
      await assert.rejects(client.resolve(refOf(registry.host, name), AMD64), {
        code: 'ERR_TSBUILD_REGISTRY_NOT_FOUND',
        message: new RegExp(`^Cannot pull ${registry.host}/${name}: 404 (NAME|MANIFEST)_UNKNOWN`),
      });
    }
    await assert.rejects(collect(client.fetchBlob(refOf(registry.host, 'there:1'), blobOf(noise(5)))), {
      code: 'ERR_TSBUILD_REGISTRY_NOT_FOUND',
      codes: ['BLOB_UNKNOWN'],
    });
  });

  test('pushManifest() of a manifest whose blobs are absent fails, and then pushBlob() asks no longer', async () => {
    await using client = openTestClient();
    const image = makeImage('mips');
    const reference = refOf(registry.host, 'half:1');
    const [config] = image.blobs;
    assert.ok(config !== undefined);
    await assert.rejects(client.pushManifest(reference, image.bytes, image.descriptor.mediaType), (error: RegistryError) => {
      assert.ok(error.codes.includes('MANIFEST_BLOB_UNKNOWN'), error.message);
      return true;
    });
    for (const { descriptor, bytes } of image.blobs) {
      assert.equal(await client.pushBlob(reference, descriptor, () => chunked(bytes), []), 'pushed');
    }
    assert.equal(await client.pushBlob(reference, config.descriptor, () => chunked(config.bytes), []), 'exists');
    assert.equal(await client.pushManifest(reference, image.bytes, image.descriptor.mediaType), image.descriptor.digest);
  });

  test('pushManifest() refuses bytes that are not those of the reference', async () => {
    await using client = openTestClient();
    const reference = refOf(registry.host, `x@${digestOf('other')}`);
    await assert.rejects(client.pushManifest(reference, makeImage().bytes, MEDIA_TYPE.manifest), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
  });

  test('twenty pulls at once from one client give the right bytes and no warning', async () => {
    await using client = openTestClient();
    const warnings: Error[] = [];
    const listen = (warning: Error): void => void warnings.push(warning);
    process.on('warning', listen);
    const reference = refOf(registry.host, 'many:1');
    const blobs = Array.from({ length: 20 }, (_, index) => noise(50_000, index + 100));
    await Promise.all(blobs.map((bytes) => client.pushBlob(reference, blobOf(bytes), () => chunked(bytes), [])));
    const pulled = await Promise.all(blobs.map((bytes) => collect(client.fetchBlob(reference, blobOf(bytes)))));
    assert.deepEqual(pulled, blobs);
    process.off('warning', listen);
    assert.deepEqual(warnings, []);
  });

  test('an abort ends a pull with INTERRUPTED, or with the reason of the caller', async () => {
    const controller = new AbortController();
    await using client = openTestClient({ signal: controller.signal });
    const bytes = noise(8_000_000, 5);
    const reference = refOf(registry.host, 'abort:1');
    await client.pushBlob(reference, blobOf(bytes), () => chunked(bytes), []);
    const pull = async (): Promise<void> => {
      for await (const _ of client.fetchBlob(reference, blobOf(bytes))) controller.abort();
    };
    await assert.rejects(pull(), { code: 'ERR_TSBUILD_INTERRUPTED' });
    await assert.rejects(client.resolve(reference, AMD64), { code: 'ERR_TSBUILD_INTERRUPTED' });
  });

  test('a consumer that stops early leaves the client usable', async () => {
    await using client = openTestClient();
    const bytes = noise(8_000_000, 6);
    const reference = refOf(registry.host, 'early:1');
    await client.pushBlob(reference, blobOf(bytes), () => chunked(bytes), []);
    for await (const _ of client.fetchBlob(reference, blobOf(bytes))) break;
    assert.equal((await collect(client.fetchBlob(reference, blobOf(bytes)))).length, bytes.length);
  });
});

describe('openRegistryClient() with TLS', () => {
  test('refuses an unknown authority and a wrong name whatever the environment says, and trusts what certificatesDirs have', async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const good = makeCertificate();
      await using registry = await startRegistry({ tls: good });
      const reference = refOf(registry.host, 'tls:1');
      await using untrusting = openTestClient();
      await assert.rejects(untrusting.resolve(reference, AMD64), {
        code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE',
        message: /its certificate is not trusted: .* \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
      });
      await using client = openTestClient({ certificatesDirs: [trusting(registry.host, good.certificate)] });
      await pushImage(client, reference, makeImage());
      assert.equal((await client.resolve(reference, AMD64)).manifest.layers.length, 1);
      const misnamed = makeCertificate({ subjectAltName: 'DNS:other.example' });
      await using other = await startRegistry({ tls: misnamed });
      await using misled = openTestClient({ certificatesDirs: [trusting(other.host, misnamed.certificate)] });
      await assert.rejects(misled.resolve(refOf(other.host, 'tls:1'), AMD64), {
        message: /for other names \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
      });
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  test('loads undici only at its first request', () => {
    const script = `
      const { openRegistryClient } = await import(${JSON.stringify(new URL('../../src/registry/registry-client.js', import.meta.url).href)});
      const { _cache: cache } = (await import('node:module')).default;
      const count = () => Object.keys(cache).filter((name) => name.includes('/undici/')).length;
      const client = openRegistryClient({ signal: new AbortController().signal, retry: { attempts: 1 } });
      const before = count();
      const reference = { registry: '127.0.0.1:1', repository: 'x', tag: '1' };
      await client.resolve(reference, { os: 'linux', architecture: 'amd64' }).catch(() => {});
      console.log(before, count() > 0);
    `;
    assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }), '0 true\n');
  });
});

function trusting(host: string, certificate: string): string {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, host));
  copyFileSync(certificate, join(directory, host, 'ca.crt'));
  return directory;
}

test('openRegistryClient() names the registry that cannot be reached', async () => {
  await using client = openTestClient();
  await assert.rejects(client.resolve(parseReference('127.0.0.1:1/x'), AMD64), {
    code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE',
    message: 'Cannot pull 127.0.0.1:1/x:latest: 127.0.0.1:1: the connection was refused',
  });
});
