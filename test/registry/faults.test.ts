import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import type { RegistryError } from '../../src/registry/registry-error.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { AMD64, basicAuth, blobOf, chunked, collect, dockerConfig, makeImage, noise, openTestClient, pushImage, refOf } from './_images.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';

const MIB = 1024 * 1024;
const BYTES = noise(MIB, 42);
const BLOB = blobOf(BYTES);

let registry: TestRegistry;
let proxy: FaultProxy;
/** Another host, to which nothing secret may go. */
let evil: FaultProxy;

before(async () => {
  registry = await startRegistry();
  proxy = await startFaultProxy(registry.port);
  evil = await startFaultProxy(registry.port);
  await using client = openTestClient();
  const reference = refOf(registry.host, 'app:1');
  await pushImage(client, reference, makeImage());
  await client.pushBlob(reference, BLOB, () => chunked(BYTES), []);
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await evil[Symbol.asyncDispose]();
  await registry.stop();
});
beforeEach(() => {
  proxy.reset();
  evil.reset();
});

const app = () => refOf(proxy.host, 'app:1');
let pushes = 0;
/** A repository that has nothing yet. */
const fresh = () => {
  pushes += 1;
  return refOf(proxy.host, `fresh/${pushes}:1`);
};

const pull = (client: RegistryClient) => collect(client.fetchBlob(app(), BLOB));
async function pushFresh(client: RegistryClient): Promise<void> {
  const reference = fresh();
  assert.equal(await client.pushBlob(reference, BLOB, () => chunked(BYTES), []), 'pushed');
  await using direct = openTestClient();
  assert.deepEqual(await collect(direct.fetchBlob({ ...reference, registry: registry.host }, BLOB)), BYTES);
}

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
    await assert.rejects(pull(client), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
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

describe('broken uploads', () => {
  for (const at of [0, 1, 64 * 1024, 500_000, MIB]) {
    test(`pushBlob() starts again after a reset at byte ${at} of a PUT`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'PUT', path: /uploads/, fault: { kind: 'cut-request', bytes: at } });
      await pushFresh(client);
    });
  }
  for (const [method, path] of [
    ['POST', /uploads/],
    ['HEAD', /blobs/],
    ['PUT', /manifests/],
  ] as const) {
    test(`a reset of ${method} ${path.source} is sent again`, async () => {
      await using client = openTestClient();
      proxy.break({ method, path, times: 2, fault: { kind: 'cut-request', bytes: 0 } });
      if (method === 'PUT') await client.pushManifest(app(), makeImage().bytes, MEDIA_TYPE.manifest);
      else await pushFresh(client);
    });
  }
  test('pushBlob() gives up after five resets', async () => {
    await using client = openTestClient();
    proxy.break({ method: 'PUT', path: /uploads/, times: 100, fault: { kind: 'cut-request', bytes: 1000 } });
    await assert.rejects(pushFresh(client), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' });
    assert.equal(proxy.requests.filter(({ method }) => method === 'PUT').length, 5);
  });
  for (const status of [404, 405, 416, 501]) {
    test(`pushBlob() takes PATCH and PUT where a single PUT gets ${status}`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'PUT', path: /uploads/, fault: { kind: 'answer', status } });
      await pushFresh(client);
      assert.equal(proxy.requests.filter(({ method }) => method === 'PATCH').length, 1);
    });
  }
  test('pushBlob() starts again where a PATCH took less than all', async () => {
    await using client = openTestClient();
    proxy.break({ method: 'PUT', path: /uploads/, fault: { kind: 'answer', status: 405 } });
    proxy.break({ method: 'PATCH', fault: { kind: 'edit', headers: (headers) => ({ ...headers, range: '0-99' }) } });
    await pushFresh(client);
    assert.equal(proxy.requests.filter(({ method }) => method === 'PATCH').length, 2);
  });
  test('pushBlob() refuses a registry that stored another digest', async () => {
    await using client = openTestClient();
    const headers = { 'docker-content-digest': `sha256:${'0'.repeat(64)}` };
    proxy.break({ method: 'PUT', path: /uploads/, fault: { kind: 'edit', headers: (from) => ({ ...from, ...headers }) } });
    await assert.rejects(pushFresh(client), { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /it stored/ });
  });
  for (const status of [400, 403, 404, 405]) {
    test(`pushBlob() pushes where a mount gets ${status}`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'POST', path: /mount=/, fault: { kind: 'answer', status } });
      assert.equal(await client.pushBlob(fresh(), BLOB, () => chunked(BYTES), ['app']), 'pushed');
    });
  }
  test('pushBlob() refuses a mount of another digest', async () => {
    await using client = openTestClient();
    const headers = { 'docker-content-digest': `sha256:${'1'.repeat(64)}` };
    proxy.break({ method: 'POST', path: /mount=/, fault: { kind: 'edit', headers: (from) => ({ ...from, ...headers }) } });
    await assert.rejects(
      client.pushBlob(fresh(), BLOB, () => chunked(BYTES), ['app']),
      { message: /it stored/ },
    );
  });
  test('pushBlob() does not believe a HEAD of another size', async () => {
    await using client = openTestClient();
    proxy.break({ method: 'HEAD', fault: { kind: 'edit', headers: (headers) => ({ ...headers, 'content-length': '3' }) } });
    assert.equal(await client.pushBlob(app(), BLOB, () => chunked(BYTES), []), 'pushed');
  });
  test('pushBlob() makes up for a registry that lies about what it has', async () => {
    await using client = openTestClient();
    const reference = fresh();
    const image = makeImage('lie');
    proxy.break({ method: 'HEAD', times: 9, fault: { kind: 'answer', status: 200 } });
    const pushAll = async (): Promise<string[]> => {
      const outcomes: string[] = [];
      for (const { descriptor, bytes } of image.blobs)
        outcomes.push(await client.pushBlob(reference, descriptor, () => chunked(bytes), []));
      await client.pushManifest(reference, image.bytes, image.descriptor.mediaType);
      return outcomes;
    };
    await assert.rejects(pushAll());
    assert.deepEqual(await pushAll(), ['pushed', 'pushed']);
  });
});

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
    test(`resolve() refuses a Docker-Content-Digest with ${name}`, async () => {
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
    test(`resolve() bounds an endless body of ${name}`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /manifests/, times: 99, fault: { kind: 'answer', status, body: endless } });
      const start = Date.now();
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_ERROR' });
      assert.ok(Date.now() - start < 4000);
    });
  }

  test('resolve() refuses endless headers', async () => {
    await using client = openTestClient();
    proxy.break({ times: 9, fault: { kind: 'answer', status: 200, headers: { 'x-long': 'x'.repeat(100_000) } } });
    await assert.rejects(client.resolve(app(), AMD64), { message: /its headers are too large$/ });
  });
});

describe('redirects and other hosts', () => {
  const secretConfig = () => dockerConfig({ auths: { [proxy.host]: basicAuth('ann', 'SECRET') } });
  /** The proxy wants Basic from each request without it. */
  const challenge: Fault = { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
  const noSecretsAtEvil = (): void => {
    for (const { headers, path } of evil.requests) {
      assert.equal(headers.authorization, undefined);
      assert.equal(headers.cookie, undefined);
      assert.doesNotMatch(path, /SECRET/);
    }
  };

  for (const status of [301, 302, 303, 307, 308]) {
    for (const [name, path] of [
      ['blob', /blobs/],
      ['manifest', /manifests/],
    ] as const) {
      test(`a ${status} of a ${name} to another host is followed without credentials`, async () => {
        await using client = openTestClient({ dockerConfigDir: secretConfig() });
        proxy.break({ fault: challenge });
        const target = name === 'blob' ? `blobs/${BLOB.digest}` : 'manifests/1';
        proxy.break({ path, fault: { kind: 'answer', status, headers: { location: `http://${evil.host}/v2/app/${target}` } } });
        if (name === 'blob') assert.deepEqual(await pull(client), BYTES);
        else await client.resolve(app(), AMD64);
        assert.ok(proxy.requests.some(({ headers }) => headers.authorization !== undefined));
        assert.equal(evil.requests.length, 1);
        noSecretsAtEvil();
      });
      test(`a ${status} of a ${name} to another host that wants credentials ends in an error`, async () => {
        await using client = openTestClient({ dockerConfigDir: secretConfig() });
        proxy.break({ fault: challenge });
        proxy.break({ path, times: 9, fault: { kind: 'answer', status, headers: { location: `http://${evil.host}/steal` } } });
        const headers = { 'www-authenticate': [`Basic realm="r"`, `Bearer realm="http://${evil.host}/token"`] };
        evil.break({ times: 9, fault: { kind: 'answer', status: 401, headers } });
        await assert.rejects(name === 'blob' ? pull(client) : client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
        noSecretsAtEvil();
      });
    }
    test(`a ${status} of a push to another host is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'POST', fault: { kind: 'answer', status, headers: { location: `http://${evil.host}/x` } } });
      await assert.rejects(
        client.pushBlob(fresh(), BLOB, () => chunked(BYTES), []),
        { code: 'ERR_TSBUILD_REGISTRY_ERROR' },
      );
      assert.equal(evil.requests.length, 0);
    });
  }

  test('credentials stay away from a redirect that leads back', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    proxy.break({ fault: challenge });
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 307, headers: { location: `http://${evil.host}/hop` } } });
    const back = { location: `http://${proxy.host}/v2/app/blobs/${BLOB.digest}?back` };
    evil.break({ fault: { kind: 'answer', status: 307, headers: back } });
    await pull(client);
    assert.equal(proxy.requests.find(({ path }) => path.endsWith('?back'))?.headers.authorization, undefined);
  });

  test('a relative redirect keeps credentials', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    proxy.break({ fault: challenge });
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 307, headers: { location: `/v2/app/blobs/${BLOB.digest}?here` } } });
    await pull(client);
    assert.notEqual(proxy.requests.find(({ path }) => path.endsWith('?here'))?.headers.authorization, undefined);
  });

  test('a redirect loop ends after ten hops', async () => {
    await using client = openTestClient();
    proxy.break({
      path: /blobs/,
      times: 99,
      fault: { kind: 'answer', status: 302, headers: { location: `/v2/app/blobs/${BLOB.digest}` } },
    });
    await assert.rejects(pull(client), { message: /: more than 10 redirects$/ });
    assert.equal(proxy.requests.length, 11);
  });

  for (const location of ['', 'http://[', 'ftp://host/x', 'file:///etc/passwd', 'http://user:pw@127.0.0.1/x', 'javascript:1']) {
    test(`a redirect to ${JSON.stringify(location)} is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, times: 9, fault: { kind: 'answer', status: 302, headers: { location } } });
      await assert.rejects(pull(client), { message: /: the redirect has no usable Location$/ });
    });
  }

  for (const location of ['http://169.254.169.254/latest/', 'http://[fe80::1]/', 'http://[fd00:ec2::254]/']) {
    test(`a redirect to ${location} is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, times: 9, fault: { kind: 'answer', status: 302, headers: { location } } });
      await assert.rejects(pull(client), { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /the registry leads to the private address/ });
    });
  }

  for (const location of [
    '//evil.example/up',
    'http://169.254.169.254/',
    'http://0.0.0.0/',
    'http://127.0.0.1:22/',
    'https://169.254.169.254/',
    'gopher://x',
    '',
  ]) {
    test(`an upload Location ${JSON.stringify(location)} is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'POST', times: 9, fault: { kind: 'answer', status: 202, headers: { location } } });
      await assert.rejects(
        client.pushBlob(fresh(), BLOB, () => chunked(BYTES), []),
        { code: 'ERR_TSBUILD_REGISTRY_ERROR' },
      );
    });
  }

  test('a relative upload Location is taken', async () => {
    await using client = openTestClient();
    const headers = (from: Record<string, string | string[]>) => {
      const { pathname, search } = new URL(String(from.location));
      return { ...from, location: pathname + search };
    };
    proxy.break({ method: 'POST', fault: { kind: 'edit', headers } });
    await pushFresh(client);
  });

  for (const realm of ['http://evil.example/token', 'http://169.254.169.254/', 'ftp://x/', '/token', '', 'https://u:p@auth.example/']) {
    test(`a token realm ${JSON.stringify(realm)} gets no credentials`, async () => {
      await using client = openTestClient({ dockerConfigDir: secretConfig() });
      const headers = { 'www-authenticate': `Bearer realm="${realm}",service="s"` };
      proxy.break({ times: 99, fault: { kind: 'answer', status: 401, headers } });
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /realm/ });
      assert.equal(proxy.requests.length, 1);
    });
  }

  test('a registry that always says 401 is asked at most three times', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    const headers = { 'www-authenticate': `Bearer realm="http://${evil.host}/token"` };
    proxy.break({ times: 99, fault: { kind: 'answer', status: 401, headers } });
    evil.break({ times: 99, fault: { kind: 'answer', status: 200, body: '{"token":"t"}' } });
    await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
    assert.equal(proxy.requests.length, 3);
    assert.equal(evil.requests.length, 2);
  });

  const badTokens: readonly [string, Fault][] = [
    ['no token', { kind: 'answer', status: 200, body: '{}' }],
    ['HTML', { kind: 'answer', status: 200, body: '<html>' }],
    ['a token with a line break', { kind: 'answer', status: 200, body: JSON.stringify({ token: 'a\r\nx: y' }) }],
    ['a token of 100 KB', { kind: 'answer', status: 200, body: JSON.stringify({ token: 'a'.repeat(100_000) }) }],
    ['an endless body', { kind: 'answer', status: 200, body: endless }],
    ['404', { kind: 'answer', status: 404 }],
  ];
  for (const [name, fault] of badTokens) {
    test(`a token server that sends ${name} is an error`, async () => {
      await using client = openTestClient();
      proxy.break({
        times: 99,
        fault: { kind: 'answer', status: 401, headers: { 'www-authenticate': `Bearer realm="http://${evil.host}/t"` } },
      });
      evil.break({ times: 99, fault });
      await assert.rejects(client.resolve(app(), AMD64), { code: /^ERR_TSBUILD_REGISTRY_(ERROR|NOT_FOUND)$/ });
    });
  }
});

function withoutDigest(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  const { 'docker-content-digest': _, etag: _etag, ...rest } = headers;
  return rest;
}

function* endless(): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, '[');
  for (;;) yield chunk;
}
