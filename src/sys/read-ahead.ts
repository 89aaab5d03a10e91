/** A file's bytes in order, of which the next ones are read on libuv's pool while the consumer works. */
import { read as readCallback } from 'node:fs';
import { promisify } from 'node:util';

/**
 * `fresh` chunks belong to the receiver. One whose memory is `reused` is good until the next is asked for, and costs neither page
 * faults nor collections of garbage.
 */
export type ChunkMemory = 'fresh' | 'reused';

const CHUNK_BYTES = 512 << 10;

const read = promisify(readCallback);

/** From its first byte. The caller closes `fd`, when the end or the `return` of the iterator has resolved. */
export async function* readAhead(fd: number, memory: ChunkMemory = 'fresh'): AsyncGenerator<Buffer, void, undefined> {
  let position = 0;
  let spare: Buffer | undefined;
  const chunk = async (): Promise<Buffer> => {
    const { bytesRead, buffer } = await read(fd, spare ?? Buffer.allocUnsafeSlow(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    position += bytesRead;
    return buffer.subarray(0, bytesRead);
  };
  let next = chunk();
  try {
    for (let bytes = await next; bytes.length > 0; bytes = await next) {
      next = chunk();
      // It may fail long before it is awaited.
      next.catch(() => {});
      yield bytes;
      if (memory === 'reused') spare = Buffer.from(bytes.buffer);
    }
  } finally {
    // A consumer that stops early leaves a read under way.
    await next.catch(() => {});
  }
}
