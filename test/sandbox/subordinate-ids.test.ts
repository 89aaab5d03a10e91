import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { subordinateMap } from '../../src/sandbox/user-namespace/subordinate-ids.ts';

const ME = { name: 'me', id: 1000 };

/** Lines of a uid_map. */
function map(text: string): string[] {
  return subordinateMap(text, ME).map(({ inside, outside, count }) => `${inside} ${outside} ${count}`);
}

test('subordinateMap() maps the user to 0 and the ranges of the file, by name or number, to what follows', () => {
  assert.deepEqual(map(''), ['0 1000 1']);
  assert.deepEqual(map('you:1:2\nme:100000:65536\n'), ['0 1000 1', '1 100000 65536']);
  assert.deepEqual(map('1000:7000:10\nme:8000:5\n10000:1:1'), ['0 1000 1', '1 7000 10', '11 8000 5']);
});

test('subordinateMap() leaves out what is no range, overlaps, or holds the user', () => {
  const lines = [
    'me',
    'me:',
    'me:1',
    'me:a:b',
    'me:-5:9',
    'me:5:0',
    'me:0:5',
    'me:1e3:5',
    'me:1:2:3',
    'me:999:3',
    'me:4294967290:100',
    ' me : 1 : 2',
  ];
  for (const line of lines) assert.deepEqual(map(line), ['0 1000 1'], line);
  assert.deepEqual(map('me:5000:10\nme:5009:10\nme:4990:10\n'), ['0 1000 1', '1 5000 10', '11 4990 10']);
});

test('subordinateMap() gives no id twice, on either side, and no more lines than the kernel takes', () => {
  const number = fc.oneof(fc.integer({ min: -1, max: 2000 }), fc.integer({ min: 0, max: 0xffff_ffff }));
  const line = fc.tuple(fc.constantFrom('me', '1000', 'you'), number, number).map((parts) => parts.join(':'));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 400 }), (lines) => {
      const ranges = subordinateMap(lines.join('\n'), ME);
      assert.ok(ranges.length <= 340);
      for (const side of ['inside', 'outside'] as const) {
        const sorted = ranges.toSorted((a, b) => a[side] - b[side]);
        sorted.slice(1).forEach((range, index) => {
          const before = sorted[index];
          assert.ok(before !== undefined && before[side] + before.count <= range[side]);
        });
        assert.ok(ranges.every((range) => range.count > 0 && range[side] + range.count <= 0xffff_ffff));
      }
    }),
  );
});
