import assert from 'node:assert/strict';
import { test } from 'node:test';
import { display, fromBuffer, fromText, join, nameOf, parentOf, toBuffer } from '../../src/tree/byte-string.ts';

test('every byte survives fromBuffer() and toBuffer()', () => {
  const bytes = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1));
  assert.deepEqual(toBuffer(fromBuffer(bytes)), bytes);
});

test('display() shows UTF-8 as text, and control characters and broken bytes escaped', () => {
  assert.equal(display(fromText('grün')), 'grün');
  assert.equal(display(fromBuffer(Buffer.from([0x61, 0xff, 0x0a]))), 'a\\xff\\x0a');
  assert.equal(display(fromText('\u001b[31m')), '\\x1b[31m');
});

test('join(), parentOf() and nameOf() take the root as an empty string', () => {
  const path = join(join(fromText(''), fromText('a')), fromText('b'));
  assert.deepEqual([path, parentOf(path), parentOf(parentOf(path)), nameOf(path)], ['a/b', 'a', '', 'b']);
});
