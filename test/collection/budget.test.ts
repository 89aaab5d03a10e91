import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ageByClock } from '../../src/collection/age.ts';
import { chooseByBudget } from '../../src/collection/budget.ts';
import { budgetOf, defaultBudget, isDue } from '../../src/collection/estimate.ts';
import type { UsageItem } from '../../src/collection/usage-entry.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 1000 * DAY;
const MIB = 2 ** 20;

function item(key: string, more: Partial<UsageItem> = {}): UsageItem {
  return {
    ...{ kind: 'step', id: key, description: '', bytes: 100 * MIB, createdAt: undefined, usedAt: NOW - HOUR, usedBy: [] },
    ...{ shared: false, inUse: false, reclaimable: true, key, parent: undefined, place: undefined },
    ...more,
  };
}

const keys = (items: readonly UsageItem[], budget = Number.MAX_SAFE_INTEGER): string[] =>
  chooseByBudget(items, budget, ageByClock(NOW)).map(({ key }) => key);

test('chooseByBudget() leaves everything that has room', () => {
  assert.deepEqual(keys([item('a'), item('b', { kind: 'cache-mount', usedAt: NOW - 30 * DAY })]), []);
});

test('chooseByBudget() takes sources above 512 MiB that were not used for two days, the oldest first', () => {
  const sources = [3, 9, 5, 1].map((days) => item(`${days} days`, { kind: 'cache-mount', bytes: 200 * MIB, usedAt: NOW - days * DAY }));
  assert.deepEqual(keys([...sources, item('step', { usedAt: NOW - 50 * DAY })]), ['9 days', '5 days']);
  const young = sources.map((source) => ({ ...source, usedAt: NOW - HOUR }));
  assert.deepEqual(keys(young), [], 'younger ones stay, whatever their size');
});

test('chooseByBudget() takes what nobody has used for 60 days', () => {
  const items = [item('old', { usedAt: NOW - 61 * DAY, shared: true }), item('young', { usedAt: NOW - 59 * DAY })];
  assert.deepEqual(keys(items), ['old']);
});

test('chooseByBudget() takes the least recently used above the budget: first what no image has, images never', () => {
  const items = [
    item('shared', { shared: true, usedAt: NOW - 9 * HOUR }),
    item('old', { usedAt: NOW - 8 * HOUR }),
    item('young', { usedAt: NOW - HOUR }),
    item('image', { kind: 'image', reclaimable: false }),
    item('live', { reclaimable: false, inUse: true, usedAt: 0 }),
  ];
  assert.deepEqual(keys(items, 350 * MIB), ['old']);
  assert.deepEqual(keys(items, 250 * MIB), ['old', 'young']);
  assert.deepEqual(keys(items, 0), ['old', 'young', 'shared']);
});

test('isDue() looks at the size, and at an old measurement whichever way the clock went', () => {
  const due = (bytes: number, measuredAt: number) => isDue({ bytes, measuredAt }, 100, NOW);
  assert.deepEqual([due(100, NOW), due(101, NOW), due(1, NOW - 2 * DAY), due(1, NOW + 2 * DAY)], [false, true, true, true]);
});

test('budgetOf() reads sizes, and without one takes a tenth of the disk, at least 2 GiB', () => {
  const sizes = ['0', '512', '1k', '20GB', '1.5 GiB', '3mb'].map((text) => budgetOf(text, 0));
  assert.deepEqual(sizes, [0, 512, 1024, 20 * 2 ** 30, 1.5 * 2 ** 30, 3 * MIB]);
  assert.deepEqual([budgetOf('', 100e9), budgetOf(undefined, 5e9), defaultBudget(0)], [10e9, 2 ** 31, 2 ** 31]);
  for (const text of ['much', '-1', '1x', '9999999999t']) assert.throws(() => budgetOf(text, 0), { code: 'ERR_TSBUILD_USAGE' });
});
