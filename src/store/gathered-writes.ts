/** Small chunks as few large writes, which run while the next chunks come; the disk begins with them long before the file is synced. */
import type { FileHandle } from 'node:fs/promises';
import { beginWriteBack } from '../sys/write-back.ts';

/** One call at a time. What fails rejects a later call; after that the file is of no use. */
export interface GatheredWrites {
  /** Takes the chunk before it resolves: the caller may reuse the memory. */
  write(chunk: Uint8Array): Promise<void>;
  /** All that was taken is in the file. */
  flush(): Promise<void>;
  /** Nothing is written any more when it resolves; what was not written is dropped. */
  stop(): Promise<void>;
}

const GATHERED_BYTES = 1 << 20;
const WRITE_BACK_BYTES = 8 << 20;

/** `size`: bytes that will come, so that a small file gets little memory. */
export function gatherWrites(handle: FileHandle, size: number): GatheredWrites {
  let filling: Buffer | undefined;
  let spare: Buffer | undefined;
  let filled = 0;
  let writing: Promise<void> = Promise.resolve();
  let [written, begun] = [0, 0];

  const start = async (bytes: Uint8Array): Promise<void> => {
    await writing;
    writing = writeAll(handle, bytes).then(() => {
      written += bytes.length;
      if (written - begun < WRITE_BACK_BYTES) return;
      beginWriteBack(handle.fd, begun, written - begun);
      begun = written;
    });
    // Whoever comes next is told.
    writing.catch(() => {});
  };
  const pass = async (): Promise<void> => {
    if (filling === undefined || filled === 0) return;
    const full = filling;
    await start(full.subarray(0, filled));
    // The other one has been written by now.
    filling = spare;
    spare = full;
    filled = 0;
  };

  return {
    async write(chunk) {
      if (chunk.length >= GATHERED_BYTES) {
        await pass();
        await start(chunk);
        return await writing;
      }
      for (let at = 0; at < chunk.length; ) {
        filling ??= Buffer.allocUnsafeSlow(Math.max(1, Math.min(size, GATHERED_BYTES)));
        const taken = Math.min(chunk.length - at, filling.length - filled);
        filling.set(chunk.subarray(at, at + taken), filled);
        filled += taken;
        at += taken;
        if (filled === filling.length) await pass();
      }
    },
    async flush() {
      await pass();
      await writing;
    },
    async stop() {
      await writing.catch(() => {});
    },
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}
