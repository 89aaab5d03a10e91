import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ageByClock } from '../../src/collection/age.ts';
import { cacheBytes, choose, matches, type Rule } from '../../src/collection/choose.ts';
import type { UsageItem } from '../../src/collection/usage-entry.ts';

const DAY = 86_400_000;
const NOW = 1000 * DAY;

function item(key: string, more: Partial<UsageItem> = {}): UsageItem {
  return {
    ...{ kind: 'step', id: key, description: '', bytes: 100, createdAt: undefined, usedAt: NOW - DAY, usedBy: [] },
    ...{ shared: false, inUse: false, reclaimable: true, key, parent: undefined, place: undefined },
    ...more,
  };
}

const keys = (items: readonly UsageItem[], rule: Partial<Rule> = {}, now = NOW): string[] =>
  choose(items, { all: false, filter: {}, keepBytes: undefined, ...rule }, ageByClock(now)).map(({ key }) => key);

describe('choose()', () => {
  test('takes the least recently used first, and what is built on something before that', () => {
    const items = [
      item('base', { usedAt: 1 }),
      item('old', { parent: 'base', usedAt: 2 }),
      item('young', { parent: 'base', usedAt: 9 }),
      item('other', { usedAt: 5 }),
      item('top', { parent: 'old', usedAt: 3 }),
    ];
    assert.deepEqual(keys(items), ['top', 'old', 'other', 'young', 'base']);
    assert.deepEqual(keys(items, { keepBytes: 250 }), ['top', 'old', 'other'], 'until no more is left than may stay');
    assert.deepEqual(keys(items, { keepBytes: 500 }), []);
  });

  test('leaves what has to stay, and what that is built on', () => {
    const items = [
      item('base'),
      item('free', { parent: 'base' }),
      item('used', { parent: 'free', reclaimable: false, inUse: true }),
      item('also free', { parent: 'base' }),
      item('image', { kind: 'image', reclaimable: false }),
    ];
    assert.deepEqual(keys(items, { all: true }), ['also free']);
  });

  test('takes what named images have, too, only when all is asked for', () => {
    const items = [item('base', { shared: true }), item('step', { parent: 'base', shared: true }), item('free', { parent: 'base' })];
    assert.deepEqual(keys(items), ['free']);
    assert.deepEqual(keys(items, { all: true }), ['step', 'free', 'base']);
  });

  test('keeps what a filter does not fit, and what that is built on', () => {
    const items = [item('base', { usedAt: NOW - 9 * DAY }), item('young', { parent: 'base', usedAt: NOW - DAY })];
    assert.deepEqual(keys(items, { filter: { unusedForMs: 2 * DAY } }), []);
    assert.deepEqual(keys(items, { filter: { unusedForMs: DAY } }), ['young', 'base']);
  });

  test('goes by the order of use whatever the clock says', () => {
    const items = [
      item('later', { usedAt: NOW + 500 * DAY }),
      item('sooner', { usedAt: NOW - 500 * DAY }),
      item('used', { reclaimable: false }),
    ];
    for (const now of [0, NOW, NOW * 9]) assert.deepEqual(keys(items, {}, now), ['sooner', 'later']);
  });

  test('takes 20,000 snapshots that stand on each other in a moment', () => {
    const items = Array.from({ length: 20_000 }, (_, i) => item(`s${i}`, { parent: i === 0 ? undefined : `s${i - 1}`, usedAt: i }));
    assert.deepEqual(keys(items), items.map(({ key }) => key).reverse());
  });
});

test('cacheBytes() leaves out what is never pruned', () => {
  assert.equal(cacheBytes([item('a'), item('b', { kind: 'image' }), item('r', { kind: 'records' }), item('c', { bytes: 7 })]), 107);
});

test('matches() takes any value of one key and all keys, and the types of buildx', () => {
  const mount = item('m', { kind: 'cache-mount', id: 'ab12'.repeat(16), description: 'npm', shared: false });
  const fits: [Parameters<typeof matches>[1], boolean][] = [
    [{}, true],
    [{ type: ['step', 'cache-mount'] }, true],
    [{ type: ['step'] }, false],
    [{ type: ['exec.cachemount'] }, true],
    [{ type: ['regular'] }, false],
    [{ id: ['npm'] }, true],
    [{ id: ['np'] }, false],
    [{ id: ['ab12ab'] }, true],
    [{ id: ['ab1'] }, false],
    [{ id: ['npm'], type: ['step'] }, false],
    [{ description: ['pm'] }, true],
    [{ description: ['yarn'] }, false],
    [{ shared: true }, false],
    [{ inUse: false }, true],
    [{ unusedForMs: DAY }, true],
    [{ unusedForMs: DAY + 1 }, false],
  ];
  for (const [filter, expected] of fits) assert.equal(matches(mount, filter, ageByClock(NOW)), expected, JSON.stringify(filter));
  const blob = item('b', { kind: 'blob', id: `sha256:${'cd34'.repeat(16)}` });
  assert.deepEqual(
    ['cd34', 'sha256:cd34', 'd34c'].map((id) => matches(blob, { id: [id] }, ageByClock(NOW))),
    [true, true, false],
  );
});
