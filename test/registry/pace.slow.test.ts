import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { openPace } from '../../src/registry/pace.ts';
import { blobOf, chunked, noise, openTestClient, refOf } from './_images.ts';
import { countScenarios } from './_scenarios.ts';
import { startEmulatedRegistry } from './emulated-registry.ts';

const signal = new AbortController().signal;
const HOST = 'https://registry.example';

function virtualPace() {
  const clock = { ms: 0 };
  const sleep = async (ms: number): Promise<void> => {
    clock.ms += ms;
  };
  const pace = openPace({ now: () => clock.ms, sleep, distanceMs: 1000 });
  return { clock, pace };
}

test('turn() waits for nothing while nothing was refused', async () => {
  const { clock, pace } = virtualPace();
  for (let i = 0; i < 100; i += 1) await pace.turn(HOST, signal);
  assert.equal(clock.ms, 0);
});

test('turn() waits as long as the host asked, then keeps a distance that slowly shrinks', async () => {
  const { clock, pace } = virtualPace();
  pace.hold(HOST, 7000);
  const turns: number[] = [];
  for (let i = 0; i < 300; i += 1) {
    await pace.turn(HOST, signal);
    pace.taken(HOST);
    turns.push(clock.ms);
  }
  assert.deepEqual(turns.slice(0, 2), [7000, 8000]);
  assert.ok((turns[2] ?? 0) < 9000);
  assert.equal(turns.at(-1), turns.at(-2));
});

test('turn() of another host waits for nothing', async () => {
  const { clock, pace } = virtualPace();
  pace.hold(HOST, 7000);
  await pace.turn('https://other.example', signal);
  assert.equal(clock.ms, 0);
});

test('hold() of several requests that were under way together is one refusal; of later ones it doubles the distance', async () => {
  const { clock, pace } = virtualPace();
  for (let i = 0; i < 4; i += 1) pace.hold(HOST, 1000);
  await pace.turn(HOST, signal);
  await pace.turn(HOST, signal);
  assert.equal(clock.ms, 2000);
  pace.hold(HOST, 1000);
  await pace.turn(HOST, signal);
  await pace.turn(HOST, signal);
  assert.equal(clock.ms, 5000);
});

/** A second lasts so many milliseconds. */
const SECOND = 20;
const LAYERS = 50;

for (const retryAfter of ['1', undefined]) {
  test(`X21: ${LAYERS} layers pass a registry that takes one request in a second, Retry-After ${retryAfter}, with at most 1.2 times the requests`, async () => {
    await using registry = await startEmulatedRegistry({
      bucket: { size: 1, perSecond: 1000 / SECOND, ...(retryAfter === undefined ? {} : { retryAfter }) },
    });
    const start = Date.now();
    const scaled = {
      sleep: async (ms: number) => await wait((ms * SECOND) / 1000),
      now: () => start + ((Date.now() - start) * 1000) / SECOND,
    };
    await using client = openTestClient({ retry: scaled });
    const layers = Array.from({ length: LAYERS }, (_, i) => noise(1000, i));
    const queue = layers.values();
    const worker = async (): Promise<void> => {
      for (const layer of queue) await client.pushBlob(refOf(registry.host, 'many:1'), blobOf(layer), () => chunked(layer), []);
    };
    await Promise.all(Array.from({ length: 4 }, worker));
    const refused = registry.seen.filter(({ status }) => status === 429).length;
    const needed = registry.seen.length - refused;
    assert.equal(needed, LAYERS * 3);
    assert.ok(refused > 0 && registry.seen.length <= needed * 1.2, `${registry.seen.length} requests, ${refused} of them refused`);
    countScenarios('X21 token bucket', 1);
  });
}
