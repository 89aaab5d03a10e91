import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NameSorter } from '../../src/sys/sorted-names.ts';
import type { ByteString } from '../../src/tree/byte-string.ts';
import { seededRandom } from '../end-to-end/_seeded-random.ts';

test('NameSorter gives names in byte order, of one run and of many, as often as they are read', () => {
  const random = seededRandom(7);
  const name = () =>
    Array.from({ length: 1 + Math.floor(random() * 6) }, () => String.fromCharCode(1 + Math.floor(random() * 255))).join('');
  for (const count of [0, 1, 9, 10, 11, 20, 997]) {
    const names = new Set<ByteString>();
    while (names.size < count) names.add(name() as ByteString);
    const sorter = new NameSorter(10);
    for (const each of names) sorter.add(each);
    const sorted = sorter.sorted();
    assert.equal(sorted.length, count);
    assert.deepEqual([...sorted], [...names].sort());
    assert.deepEqual([...sorted], [...names].sort());
  }
});

test('NameSorter merges runs that do not overlap, and runs that are one name long', () => {
  for (const [runNames, names] of [
    [3, ['a', 'b', 'c', 'd', 'e', 'f', 'g']],
    [3, ['g', 'f', 'e', 'd', 'c', 'b', 'a']],
    [1, ['b', '\xff', 'a']],
  ] as const) {
    const sorter = new NameSorter(runNames);
    for (const name of names) sorter.add(name as ByteString);
    assert.deepEqual([...sorter.sorted()], [...names].sort());
  }
});
