/**
 * gzip whose blocks are compressed side by side on libuv's pool. Each block of 1 MiB is deflated with the last 32 KiB before
 * it as dictionary and ends on a byte boundary (Z_SYNC_FLUSH), so that the blocks in order are one gzip member (RFC 1951,
 * RFC 1952). The bytes depend on input and level alone, not on the number of threads.
 */
import { crc32 } from 'node:zlib';
import { deflate } from './deflate.ts';
import { isDense } from './dense-block.ts';
import { gzipHeader, gzipTrailer } from './gzip-member.ts';
import { inBlocks, inOrder } from './in-order.ts';

const BLOCK_BYTES = 1 << 20;
const DICTIONARY_BYTES = 1 << 15;

/**
 * `level` is zlib's, 0 to 9. Input chunks must not be changed before they are `spent`; of that only chunks of 1 MiB are told, in their order.
 * What comes out may be part of a chunk: it is good until the next is asked for.
 */
export async function* parallelGzip(
  source: AsyncIterable<Buffer>,
  level: number,
  spent?: (chunk: Buffer) => void,
): AsyncGenerator<Buffer, void, undefined> {
  yield gzipHeader(level);
  let checksum = 0;
  let size = 0;
  let before: Buffer | undefined;
  const done = inOrder(inBlocks(source, BLOCK_BYTES), async ({ block, isLast }) => {
    checksum = crc32(block, checksum);
    size += block.length;
    const dictionary = before;
    before = block;
    // What would not get smaller is stored.
    const parts = await deflate(block, {
      level: level > 0 && isDense(block) ? 0 : level,
      isLast,
      dictionary: dictionary?.subarray(-DICTIONARY_BYTES),
    });
    return { parts, dictionary };
  });
  for await (const { parts, dictionary } of done) {
    // What it was compressed to has come out already.
    if (dictionary !== undefined) spent?.(dictionary);
    yield* parts;
  }
  if (before !== undefined) spent?.(before);
  yield gzipTrailer(checksum, size);
}
