/** deflate (RFC 1951) on libuv's pool. */
import { deflateRaw, type ZlibOptions } from 'node:zlib';

/** Most blocks of 1 MiB get smaller than this. */
const OUTPUT_BYTES = 1 << 18;

/** `level`: 1 to 9. The bytes depend on `content`, `options` and the version of zlib alone. */
export function deflate(content: Buffer, options: ZlibOptions & { readonly level: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Each piece of output is one more way to the pool and back.
    deflateRaw(content, { ...options, chunkSize: OUTPUT_BYTES }, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
