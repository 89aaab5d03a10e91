import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { storedBlocks } from '../../src/layers/stored-blocks.ts';

const SIZES = [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, 1 << 20];

function bytes(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 7919) >>> 5));
}

test('storedBlocks() makes what zlib inflates to the same bytes, of any size', () => {
  for (const size of SIZES) {
    const content = bytes(size);
    const stored = Buffer.concat([...storedBlocks(content, true)]);
    assert.ok(inflateRawSync(stored).equals(content), String(size));
    assert.equal(stored.length, size + 5 * Math.max(1, Math.ceil(size / 65_535)), String(size));
  }
});

test('storedBlocks() leaves the stream open where more comes', () => {
  const parts = SIZES.map(bytes);
  const stored = parts.flatMap((part, at) => [...storedBlocks(part, at === parts.length - 1)]);
  assert.ok(inflateRawSync(Buffer.concat(stored)).equals(Buffer.concat(parts)));
});

test('storedBlocks() copies nothing of its content', () => {
  const content = bytes(200_000);
  for (const [at, part] of [...storedBlocks(content, true)].entries()) assert.equal(part.buffer === content.buffer, at % 2 === 1);
});
