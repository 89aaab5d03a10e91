import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { decompress } from '../../src/layers/decompress.ts';
import { cutAtFrameEnds } from '../../src/layers/zstd-frames.ts';
import { pieces } from './_overlay.ts';

const SKIPPABLE = Buffer.from('5f2a4d1804000000abcdabcd', 'hex');
const zstd = (content: Buffer, ...args: string[]): Buffer => execFileSync('zstd', ['-qc', ...args], { input: content, maxBuffer: 1 << 26 });

/** Of each kind: checksum or none, sizes of one to eight bytes or none, raw, RLE and compressed blocks, no content at all. */
const CONTENTS = [
  Buffer.alloc(0),
  Buffer.from('a'),
  randomBytes(300),
  Buffer.alloc(70_000, 'text '),
  Buffer.alloc(500_000),
  randomBytes(400_000),
];
const FRAMES = CONTENTS.flatMap((content) => [
  { content, frame: zstd(content) },
  { content, frame: zstd(content, '--no-check', '-19') },
  { content, frame: zstd(content, `--stream-size=${content.length}`) },
  { content: Buffer.alloc(0), frame: SKIPPABLE },
]);

test('cutAtFrameEnds() cuts where frames end, however the input comes, and loses nothing', async () => {
  const input = Buffer.concat(FRAMES.map(({ frame }) => frame));
  const ends = new Set<number>();
  FRAMES.reduce((at, { frame }) => {
    ends.add(at + frame.length);
    return at + frame.length;
  }, 0);
  for (const size of [1, 7, 4096, input.length]) {
    const found = new Set<number>();
    const chunks: Buffer[] = [];
    let at = 0;
    for await (const chunk of cutAtFrameEnds(pieces(input, size))) {
      assert.ok(chunk.length > 0);
      for (const end of ends) assert.ok(!(at < end && end < at + chunk.length), `a chunk goes over ${end}`);
      at += chunk.length;
      found.add(at);
      chunks.push(chunk);
    }
    assert.ok(Buffer.concat(chunks).equals(input));
    for (const end of ends) assert.ok(found.has(end));
  }
});

test('decompress() reads frames behind each other, with the zstd that this Node has', async () => {
  const input = Buffer.concat(FRAMES.map(({ frame }) => frame));
  for (const size of [777, input.length]) {
    const chunks: Buffer[] = [];
    for await (const chunk of decompress(pieces(input, size))) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(Buffer.concat(FRAMES.map(({ content }) => content))));
  }
});

test('cutAtFrameEnds() passes on what is no zstd, and what a frame ends in', async () => {
  for (const input of [
    Buffer.from('no zstd at all'),
    Buffer.concat([zstd(Buffer.from('x')), Buffer.from('tail of it')]),
    zstd(randomBytes(999)).subarray(0, 500),
  ]) {
    const chunks: Buffer[] = [];
    for await (const chunk of cutAtFrameEnds(pieces(input, 3))) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(input));
  }
});
