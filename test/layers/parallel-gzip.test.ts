import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { inBlocks } from '../../src/layers/in-order.ts';
import { parallelGzip } from '../../src/layers/parallel-gzip.ts';

const MIB = 1 << 20;
const CHUNKS = 30;

/** What repeats itself across the border of two chunks, so that a dictionary counts; a few chunks cannot be compressed. */
async function* chunks(): AsyncGenerator<Buffer, void, undefined> {
  for (let index = 0; index < CHUNKS; index++) yield chunkOf(index);
  yield chunkOf(CHUNKS).subarray(0, 1000);
}

function chunkOf(index: number): Buffer {
  return index % 7 === 3 ? noise(MIB, index) : Buffer.alloc(MIB, noise(20_001, 0));
}

/** Bytes that look random, the same each time. */
function noise(length: number, key: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, key), Buffer.alloc(16)).update(Buffer.alloc(length));
}

async function gathered(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

test('parallelGzip() does not look at a chunk that it has called spent', async () => {
  let count = 0;
  const overwrite = (chunk: Buffer): void => {
    chunk.fill(0xee);
    count++;
  };
  const plain = await gathered(chunks());
  const reused = await gathered(parallelGzip(chunks(), 6, overwrite));
  assert.ok(gunzipSync(reused).equals(plain));
  assert.ok(reused.equals(await gathered(parallelGzip(chunks(), 6))));
  assert.equal(count, CHUNKS + 1);
});

test('inBlocks() passes chunks of a block uncopied', async () => {
  const made = [Buffer.alloc(MIB, 1), Buffer.alloc(MIB, 2), Buffer.alloc(7, 3)];
  const passed: Buffer[] = [];
  for await (const { block } of inBlocks(
    (async function* () {
      yield* made;
    })(),
    MIB,
  ))
    passed.push(block);
  assert.deepEqual(
    passed.map(({ buffer, length }) => [made.findIndex((chunk) => chunk.buffer === buffer), length]),
    [
      [0, MIB],
      [1, MIB],
      [2, 7],
    ],
  );
});
