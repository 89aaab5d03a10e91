/** deflate (RFC 1951) on libuv's pool. */
import { constants, deflateRaw, type ZlibOptions } from 'node:zlib';

/** Most blocks of 1 MiB get smaller than this. */
const OUTPUT_BYTES = 1 << 18;

/** The bytes depend on `content`, `options` and the version of zlib alone. */
export function deflate(content: Buffer, options: ZlibOptions & { readonly level: number }): Promise<Buffer> {
  // Each piece of output is one more way to the pool and back. Where nothing is compressed, blocks end where a piece does: so these stay as they are.
  const chunkSize = options.level === 0 ? constants.Z_DEFAULT_CHUNK : OUTPUT_BYTES;
  return new Promise((resolve, reject) => {
    deflateRaw(content, { ...options, chunkSize }, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
