/**
 * zstd whose blocks of 4 MiB are compressed side by side, each a frame of its own with its size and checksum (RFC 8878 3.1: frames in
 * order are one stream, as pzstd writes them). The bytes depend on input, level and the version of libzstd, not on the number of threads.
 */
import { inBlocks, inOrder } from './in-order.ts';
import { zstdEngine } from './zstd-engine.ts';

const BLOCK_BYTES = 4 << 20;

/** `level` is libzstd's, 1 to 22. Input chunks must not be changed afterwards. Throws UNSUPPORTED where there is no libzstd. */
export async function* parallelZstd(source: AsyncIterable<Buffer>, level: number): AsyncGenerator<Buffer, void, undefined> {
  const engine = zstdEngine('compress');
  yield* inOrder(inBlocks(source, BLOCK_BYTES), ({ block }) => engine.compressFrame(block, level));
}
