import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deflateRawSync, gunzipSync } from 'node:zlib';
import { isDense } from '../../src/layers/dense-block.ts';
import { parallelGzip } from '../../src/layers/parallel-gzip.ts';

const MIB = 1 << 20;

/** Bytes that look random, the same each time. */
function noise(length: number, key = 1): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, key), Buffer.alloc(16)).update(Buffer.alloc(length));
}

async function gzip(content: Buffer, level = 6): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of parallelGzip(
    (async function* () {
      yield content;
    })(),
    level,
  ))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('isDense() tells random and compressed bytes from what deflate makes smaller', () => {
  const program = readFileSync(process.execPath).subarray(8 * MIB, 9 * MIB);
  const repeated = Buffer.concat(Array.from({ length: 64 }, () => noise(16 << 10)));
  const dense = { random: noise(MIB), compressed: deflateRawSync(readFileSync(process.execPath).subarray(0, 16 * MIB)).subarray(0, MIB) };
  const others = {
    ...{ text: Buffer.from('some words of a source file\n'.repeat(40_000)), program, zeros: Buffer.alloc(MIB), repeated },
    ...{
      base64: Buffer.from(noise(MIB).toString('base64')),
      half: Buffer.concat([noise(MIB / 2), Buffer.alloc(MIB / 2)]),
      small: noise(100_000),
    },
  };
  for (const [name, block] of Object.entries(dense)) assert.equal(isDense(block), true, name);
  for (const [name, block] of Object.entries(others)) assert.equal(isDense(block), false, name);
});

test('parallelGzip() stores dense blocks between others, and what comes out is what went in', async () => {
  const text = Buffer.from('some words of a source file\n'.repeat(100_000));
  const content = Buffer.concat([text, noise(3 * MIB), text, noise(3 * MIB, 2).subarray(0, -1), text]);
  const packed = await gzip(content);
  assert.ok(gunzipSync(packed).equals(content));
  assert.ok(packed.length < 6.1 * MIB, String(packed.length));
  assert.deepEqual(await gzip(content), packed);
});
