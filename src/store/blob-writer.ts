/** The bytes of one blob into an open file, hashed on the way: by this thread, or by one of its own where the blob is large. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Digest } from '../oci/digest.ts';
import { returnPiece } from '../sys/piece.ts';
import { gatherWrites } from './gathered-writes.ts';

/** One call at a time. What fails rejects a later call; after that the file is of no use. */
export interface BlobWriter {
  /** Takes the chunk before it resolves: the caller may reuse the memory. */
  write(chunk: Uint8Array): Promise<void>;
  /** The chunk is the writer's for good: the caller never touches it again. */
  take(chunk: Uint8Array): Promise<void>;
  /** All that was taken is in the file, and this is its digest. */
  finish(): Promise<Digest>;
  /** Nothing is written any more when it resolves, so that the file may be closed; what was not written is dropped. */
  stop(): Promise<void>;
}

/** `size`: bytes that will come, so that a small file gets little memory. */
export function writeHere(handle: FileHandle, size: number): BlobWriter {
  const writes = gatherWrites(handle, size);
  const hash = createHash('sha256');
  const write = async (chunk: Uint8Array): Promise<void> => {
    // The write runs on libuv's pool while this thread hashes.
    const written = writes.write(chunk);
    hash.update(chunk);
    await written;
  };
  return {
    write,
    async take(chunk) {
      await write(chunk);
      returnPiece(chunk);
    },
    async finish() {
      await writes.flush();
      return `sha256:${hash.digest('hex')}`;
    },
    stop: () => writes.stop(),
  };
}
