import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSealedJson, sealedJson } from '../src/sealed-json.ts';

const VALUE = { name: 'é\u2028"\\', list: [1, 'x', { deep: null }], size: 2 ** 53 - 1 };

test('openSealedJson() gives back what sealedJson() took, which is plain JSON, too', () => {
  const text = sealedJson(VALUE);
  assert.deepEqual(openSealedJson(text), VALUE);
  const { sha256, ...plain } = JSON.parse(text);
  assert.deepEqual(plain, VALUE);
  assert.match(sha256, /^[a-f0-9]{64}$/);
});

test('openSealedJson() notices each bit that changes, and each byte that is missing or too many', () => {
  const bytes = Buffer.from(sealedJson(VALUE));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    assert.equal(openSealedJson(flipped.toString('utf8')), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length++) assert.equal(openSealedJson(bytes.toString('utf8', 0, length)), undefined);
  assert.equal(openSealedJson(`${bytes}\n`), undefined);
  assert.equal(openSealedJson(JSON.stringify(VALUE)), undefined);
});
