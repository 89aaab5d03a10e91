import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { app, BLOB, BYTES, fresh, MIB, proxy, pushFresh } from './_faulty-registry.ts';
import { chunked, makeImage, openTestClient } from './_images.ts';

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
  test('pushBlob() starts again where a PATCH took less than all and the registry does not go on', async () => {
    await using client = openTestClient();
    proxy.break({ method: 'PUT', path: /uploads/, fault: { kind: 'answer', status: 405 } });
    proxy.break({ method: 'PATCH', fault: { kind: 'edit', headers: (headers) => ({ ...headers, range: '0-99' }) } });
    await pushFresh(client);
    const ranges = proxy.requests.filter(({ method }) => method === 'PATCH').map(({ headers }) => headers['content-range']);
    assert.deepEqual(ranges, [undefined, `100-${MIB - 1}`, undefined]);
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
  test('H10 pushBlob() makes up for a registry that lies about what it has', async () => {
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
