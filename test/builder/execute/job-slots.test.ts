import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJobSlots } from '../../../src/builder/execute/job-slots.ts';

describe('openJobSlots()', () => {
  test('starts at most so many at once, and all in the end, failures among them', async () => {
    for (const most of [1, 2, 5]) {
      const slots = openJobSlots(most);
      let [running, peak] = [0, 0];
      const job = async (index: number) => {
        peak = Math.max(peak, ++running);
        await sleep(2);
        running--;
        if (index % 3 === 0) throw new Error('failed');
        return index;
      };
      const results = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => slots.run(index % 4, () => job(index))));
      assert.equal(peak, most);
      assert.equal(results.filter(({ status }) => status === 'rejected').length, 7);
    }
  });

  test('starts what has most behind it first, and equals in the order in which they asked', async () => {
    const slots = openJobSlots(1);
    const started: string[] = [];
    const ask = (name: string, remaining: number) => slots.run(remaining, async () => void started.push(name));
    await Promise.all([ask('a1', 1), ask('b1', 1), ask('c5', 5), ask('d3', 3), ask('e5', 5), ask('f∞', Number.POSITIVE_INFINITY)]);
    assert.deepEqual(started, ['f∞', 'c5', 'e5', 'd3', 'a1', 'b1']);
  });
});
