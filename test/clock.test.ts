import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { milliseconds } from '../src/clock.ts';

const ROUNDING = 0.01;

/** Between which values its distance to the clock of `performance` lies. */
function distance(): readonly [number, number] {
  const before = performance.now();
  const now = milliseconds();
  return [now - performance.now() - ROUNDING, now - before + ROUNDING];
}

test('milliseconds() goes as the clock of `performance` does', async () => {
  const [low, high] = distance();
  await sleep(20);
  const [laterLow, laterHigh] = distance();
  assert.ok(Math.max(low, laterLow) <= Math.min(high, laterHigh), [low, high, laterLow, laterHigh].join());
});
