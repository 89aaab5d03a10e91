/** deflate (RFC 1951) on libuv's pool; what is not to be compressed is stored without it. */
import { constants, deflateRaw, type ZlibOptions } from 'node:zlib';
import { storedBlocks } from './stored-blocks.ts';

/** Most blocks of 1 MiB get smaller than this. */
const OUTPUT_BYTES = 1 << 18;

export interface DeflateOptions {
  /** 0 to 9, as zlib has them. */
  readonly level: number;
  /** Else it ends on a byte boundary, and more may follow. */
  readonly isLast: boolean;
  readonly dictionary?: Buffer | undefined;
}

/** In parts, which may be of `content` itself. The bytes depend on `content`, `options` and, but for level 0, the version of zlib alone. */
export async function deflate(content: Buffer, { level, isLast, dictionary }: DeflateOptions): Promise<Iterable<Buffer>> {
  if (level === 0) return storedBlocks(content, isLast);
  const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
  return [await compressed(content, { level, finishFlush, ...(dictionary === undefined ? {} : { dictionary }) })];
}

function compressed(content: Buffer, options: ZlibOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Each piece of output is one more way to the pool and back.
    deflateRaw(content, { ...options, chunkSize: OUTPUT_BYTES }, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
