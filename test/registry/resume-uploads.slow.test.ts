import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { blobOf, chunked, collect, noise, openTestClient, refOf } from './_images.ts';
import { countScenarios } from './_scenarios.ts';
import { type EmulatedRegistry, type Habits, startEmulatedRegistry } from './emulated-registry.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';

const KIB64 = 64 * 1024;
const SIZE = 160 * KIB64;
const BYTES = noise(SIZE, 7);
const BLOB = blobOf(BYTES);

/** Pushes through a proxy that breaks the upload; what came out is checked by reading it back. Returns how many times the blob was sent. */
async function pushBroken(proxy: FaultProxy, faults: readonly Fault[], blob: Descriptor = BLOB): Promise<number> {
  proxy.reset();
  for (const fault of faults) proxy.break({ method: 'PUT|PATCH', path: /uploads/, body: true, fault });
  repositories += 1;
  const reference = refOf(proxy.host, `cut/${repositories}:1`);
  await using client = openTestClient();
  assert.equal(await client.pushBlob(reference, blob, () => chunked(BYTES, 100_000), []), 'pushed');
  const sent = proxy.requests.filter(({ path }) => path.includes('uploads')).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  proxy.reset();
  assert.ok((await collect(client.fetchBlob(reference, blob))).equals(BYTES));
  return sent / blob.size;
}
let repositories = 0;

describe('X22: an upload that breaks', { timeout: 600_000 }, () => {
  let registry: TestRegistry;
  let real: FaultProxy;
  let emulated: EmulatedRegistry;
  let resuming: FaultProxy;
  before(async () => {
    registry = await startRegistry();
    real = await startFaultProxy(registry.port);
    emulated = await startEmulatedRegistry();
    resuming = await startFaultProxy(emulated.port);
  });
  after(async () => {
    await real[Symbol.asyncDispose]();
    await resuming[Symbol.asyncDispose]();
    await emulated[Symbol.asyncDispose]();
    await registry.stop();
  });

  test('at each 64 KiB of 10 MiB goes on where the registry has it up to: at most 1.05 times the bytes', async () => {
    for (let at = 0; at < SIZE; at += KIB64) {
      const sent = await pushBroken(resuming, [{ kind: 'cut-upload', bytes: at, end: at % 3 === 0 ? 'close' : 'reset' }]);
      assert.ok(sent <= 1.05, `cut at ${at}: sent ${sent} times`);
    }
    countScenarios('X22 up, resumed', SIZE / KIB64);
  });
  test('at each 64 KiB of 10 MiB begins again at docker-registry, which forgets it: at most 2 times the bytes', async () => {
    for (let at = 0; at < SIZE; at += KIB64) {
      const sent = await pushBroken(real, [{ kind: 'cut-upload', bytes: at, end: at % 3 === 0 ? 'close' : 'reset' }]);
      assert.ok(sent <= 2, `cut at ${at}: sent ${sent} times`);
    }
    countScenarios('X22 up, begun again', SIZE / KIB64);
  });
  test('again and again arrives while bytes are taken: at most 1.05 times the bytes', async () => {
    const cuts = Array.from({ length: 20 }, (): Fault => ({ kind: 'cut-upload', bytes: Math.floor(SIZE / 21) }));
    assert.ok((await pushBroken(resuming, cuts)) <= 1.05);
  });
  test('after its last byte is not sent again where the registry has it', async () => {
    const sent = await pushBroken(resuming, [{ kind: 'lose-answer' }]);
    assert.equal(sent, 1);
  });
  test('where the registry takes nothing is given up after five times', async () => {
    const cuts = Array.from({ length: 9 }, (): Fault => ({ kind: 'cut-request', bytes: KIB64 }));
    await assert.rejects(pushBroken(resuming, cuts), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' });
  });
});

describe('an upload in pieces', { timeout: 60_000 }, () => {
  const cases: readonly (readonly [name: string, habits: Habits, pieces: number])[] = [
    ['where only pieces are taken', { ways: ['pieces'] }, 3],
    ['where only pieces are taken, and 400 says so', { ways: ['pieces'], refusal: { status: 400, code: 'UNSUPPORTED' } }, 3],
    ['where bodies of 4 MiB are the largest', { bodyMax: 4 * 1024 * 1024 }, 3],
    ['of the least size that the registry names', { ways: ['pieces'], pieceMin: 5 * 1024 * 1024 }, 2],
    ['where the least size is larger than the blob', { ways: ['pieces'], pieceMin: 50 * 1024 * 1024 }, 1],
  ];
  for (const [name, habits, pieces] of cases) {
    test(`goes ${name}`, async () => {
      await using registry = await startEmulatedRegistry(habits);
      await using client = openTestClient();
      await client.pushBlob(refOf(registry.host, 'pieces:1'), BLOB, () => chunked(BYTES), []);
      assert.equal(registry.seen.filter(({ method, status }) => method === 'PATCH' && status === 202).length, pieces);
      assert.ok(registry.blobs.get(`pieces ${BLOB.digest}`)?.equals(BYTES));
    });
  }
  test('goes on with the piece that broke', async () => {
    await using registry = await startEmulatedRegistry({ ways: ['pieces'], location: 'moving' });
    await using proxy = await startFaultProxy(registry.port);
    await using client = openTestClient();
    proxy.break({ method: 'PATCH', path: /turn=[23]/, fault: { kind: 'cut-upload', bytes: 1_000_000 } });
    await client.pushBlob(refOf(proxy.host, 'pieces:1'), BLOB, () => chunked(BYTES), []);
    assert.ok(registry.blobs.get(`pieces ${BLOB.digest}`)?.equals(BYTES));
  });
  test('is refused where even small ones are too large', async () => {
    await using registry = await startEmulatedRegistry({ bodyMax: 1000 });
    await using client = openTestClient();
    const push = client.pushBlob(refOf(registry.host, 'pieces:1'), BLOB, () => chunked(BYTES), []);
    await assert.rejects(push, { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /413/ });
  });
});
