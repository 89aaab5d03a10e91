import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlobWriter } from '../../src/store/blob-writer.ts';
import { growingBlob } from '../../src/store/growing-blob.ts';
import { takePiece } from '../../src/sys/piece.ts';

const MIB = 1 << 20;

/** Keeps what it is given. */
function keeping(): BlobWriter & { readonly parts: Buffer[]; stops: number } {
  const parts: Buffer[] = [];
  const write = async (chunk: Uint8Array): Promise<void> => {
    parts.push(Buffer.from(chunk));
  };
  return {
    parts,
    stops: 0,
    write,
    take: write,
    finish: async () => `sha256:${'0'.repeat(64)}`,
    async stop() {
      this.stops++;
    },
  };
}

function bothKinds() {
  const [small, large] = [keeping(), keeping()];
  const asked: (number | 'large')[] = [];
  const writer = growingBlob(8 * MIB, {
    small(bytes) {
      asked.push(bytes);
      return small;
    },
    large() {
      asked.push('large');
      return large;
    },
  });
  return { writer, asked, small, large };
}

async function writeAll(writer: BlobWriter, content: Buffer, chunk: number): Promise<void> {
  for (let at = 0; at < content.length; at += chunk) await writer.write(content.subarray(at, at + chunk));
}

const content = Buffer.from(Uint8Array.from({ length: 20 * MIB + 77 }, (_, at) => (at * 7919) >>> 6));

test('growingBlob() gives a small blob to a writer that knows its size', async () => {
  for (const size of [0, 1, MIB, MIB + 1, 8 * MIB]) {
    const { writer, asked, small } = bothKinds();
    await writeAll(writer, content.subarray(0, size), 65_535);
    assert.deepEqual(asked, []);
    await writer.finish();
    await writer.stop();
    assert.deepEqual(asked, [size]);
    assert.ok(Buffer.concat(small.parts).equals(content.subarray(0, size)));
    assert.equal(small.stops, 1);
  }
});

test('growingBlob() gives a large blob to the other, whatever the chunks, which may be used again', async () => {
  for (const chunk of [777, 65_535, MIB, 3 * MIB, content.length]) {
    const { writer, asked, large } = bothKinds();
    const scratch = Buffer.alloc(chunk);
    for (let at = 0; at < content.length; at += chunk) {
      const count = content.copy(scratch, 0, at);
      await writer.write(scratch.subarray(0, count));
      scratch.fill(0);
    }
    await writer.finish();
    assert.deepEqual(asked, ['large']);
    assert.ok(Buffer.concat(large.parts).equals(content), String(chunk));
  }
});

test('growingBlob() hands on what it is given for good', async () => {
  const { writer, large } = bothKinds();
  for (let at = 0; at < 18; at++) {
    const piece = takePiece();
    piece.fill(at);
    await writer.take(piece);
  }
  assert.deepEqual(
    Buffer.concat(large.parts).filter((_, at) => at % MIB === 0),
    Buffer.from(Array.from({ length: 18 }, (_, at) => at)),
  );
});

test('growingBlob() asks for no writer where it is stopped before', async () => {
  const { writer, asked } = bothKinds();
  await writer.write(content.subarray(0, MIB));
  await writer.stop();
  assert.deepEqual(asked, []);
});
