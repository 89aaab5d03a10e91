/**
 * gzip whose blocks are compressed side by side on libuv's pool. Each block of 1 MiB is deflated with the last 32 KiB before
 * it as dictionary and ends on a byte boundary (Z_SYNC_FLUSH), so that the blocks in order are one gzip member (RFC 1951,
 * RFC 1952). The bytes depend on input and level alone, not on the number of threads.
 */
import { constants, crc32, deflateRaw, type ZlibOptions } from 'node:zlib';
import { gzipHeader, gzipTrailer } from './gzip-member.ts';
import { inBlocks, inOrder } from './in-order.ts';

const BLOCK_BYTES = 1 << 20;
const DICTIONARY_BYTES = 1 << 15;

/** `level` is zlib's, 0 to 9. Input chunks must not be changed afterwards. */
export async function* parallelGzip(source: AsyncIterable<Buffer>, level: number): AsyncGenerator<Buffer, void, undefined> {
  yield gzipHeader(level);
  let checksum = 0;
  let size = 0;
  let before: Buffer | undefined;
  yield* inOrder(inBlocks(source, BLOCK_BYTES), ({ block, isLast }) => {
    checksum = crc32(block, checksum);
    size += block.length;
    const compressed = compress(block, { level, isLast, before });
    before = block;
    return compressed;
  });
  yield gzipTrailer(checksum, size);
}

function compress(block: Buffer, how: { level: number; isLast: boolean; before: Buffer | undefined }): Promise<Buffer> {
  const options: ZlibOptions = {
    level: how.level,
    finishFlush: how.isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    ...(how.before === undefined ? {} : { dictionary: how.before.subarray(-DICTIONARY_BYTES) }),
  };
  return new Promise((resolve, reject) => {
    deflateRaw(block, options, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
