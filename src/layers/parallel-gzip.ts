/**
 * gzip whose blocks are compressed side by side on libuv's pool. Each block of 1 MiB is deflated with the last 32 KiB before
 * it as dictionary and ends on a byte boundary (Z_SYNC_FLUSH), so that the blocks in order are one gzip member (RFC 1951,
 * RFC 1952). The bytes depend on input and level alone, not on the number of threads.
 */
import { constants, crc32, deflateRaw, type ZlibOptions } from 'node:zlib';

const BLOCK_BYTES = 1 << 20;
const DICTIONARY_BYTES = 1 << 15;
/** More than libuv's four threads, so that none waits for the consumer; the memory it takes is about 16 MiB. */
const BLOCKS_IN_FLIGHT = 8;
/** RFC 1952 2.3: deflate, no flags, no time, system unknown. The eighth byte says "slowest" or "fastest". */
const HEADER = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/** `level` is zlib's, 1 to 9. Input chunks must not be changed afterwards. */
export async function* parallelGzip(source: AsyncIterable<Buffer>, level: number): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from(HEADER.with(8, level === 9 ? 2 : level === 1 ? 4 : 0));
  const inFlight: Promise<Buffer>[] = [];
  let checksum = 0;
  let size = 0;
  let before: Buffer | undefined;
  try {
    for await (const { block, isLast } of inBlocks(source)) {
      checksum = crc32(block, checksum);
      size += block.length;
      inFlight.push(compress(block, { level, isLast, before }));
      before = block;
      if (inFlight.length >= BLOCKS_IN_FLIGHT) yield (await inFlight.shift()) ?? Buffer.alloc(0);
    }
    for (let next = inFlight.shift(); next !== undefined; next = inFlight.shift()) yield await next;
  } finally {
    await Promise.allSettled(inFlight);
  }
  yield trailer(checksum, size);
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

/** Blocks of exactly BLOCK_BYTES and a last one that may be shorter, even empty. Chunks of that size pass uncopied. */
async function* inBlocks(source: AsyncIterable<Buffer>): AsyncGenerator<{ block: Buffer; isLast: boolean }, void, undefined> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    let at = 0;
    while (pending.length + chunk.length - at > BLOCK_BYTES) {
      const count = BLOCK_BYTES - pending.length;
      const part = chunk.subarray(at, at + count);
      yield { block: pending.length === 0 ? part : Buffer.concat([pending, part]), isLast: false };
      pending = Buffer.alloc(0);
      at += count;
    }
    const rest = chunk.subarray(at);
    pending = pending.length === 0 ? rest : Buffer.concat([pending, rest]);
  }
  yield { block: pending, isLast: true };
}

function trailer(checksum: number, size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(checksum, 0);
  bytes.writeUInt32LE(size % 2 ** 32, 4);
  return bytes;
}
