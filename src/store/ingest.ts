/** One blob on its way into the store: hashed while it is written, named only when it is whole, verified and on disk. */
import { rename, rm } from 'node:fs/promises';
import { TsbuildError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { type BlobWriter, writeHere } from './blob-writer.ts';
import { growingBlob } from './growing-blob.ts';
import { orNoSpace } from './no-space.ts';
import type { ScratchDirectory, ScratchFile } from './scratch-directory.ts';

/** Bytes in order, one `write` at a time. Without `commit`, disposing drops them. */
export interface Ingest extends AsyncDisposable {
  /** Takes the chunk before it resolves: the caller may reuse the memory. */
  write(chunk: Uint8Array): Promise<void>;
  /** Likewise; the chunk is the ingest's for good, so that it need not be copied. */
  take(chunk: Uint8Array): Promise<void>;
  /** The blob is in the store and its bytes are on disk. Throws DIGEST_MISMATCH, and then nothing is stored. */
  commit(expected?: { readonly digest?: Digest; readonly size?: number }): Promise<{ digest: Digest; size: number }>;
  abort(): Promise<void>;
}

export interface IngestOptions {
  readonly scratch: ScratchDirectory;
  /** The final path of a digest, on the same file system. */
  readonly pathOf: (digest: Digest) => string;
  /** Writes a blob too large for this thread. */
  readonly thread: () => { open(handle: ScratchFile['handle']): BlobWriter };
  /** Named in NO_SPACE. */
  readonly directory: string;
  /** Bytes that will come, where known: the `need` of NO_SPACE, and more than this many are refused. */
  readonly size: number | undefined;
  /** When the blob has its name. */
  readonly onCommit: (digest: Digest) => Promise<void>;
}

/** From here on a thread of its own costs less than it saves. */
const LARGE_BYTES = 8 << 20;

export async function openIngest(options: IngestOptions): Promise<Ingest> {
  const { scratch, directory } = options;
  const file = await orNoSpace(directory, options.size ?? 0, () => scratch.create());
  const writer = openWriter(file.handle, options);
  let size = 0;
  let state: 'open' | 'closed' = 'open';

  const abort = async (): Promise<void> => {
    if (state === 'closed') return;
    state = 'closed';
    await writer.stop();
    await dropFile(file);
  };

  const add = async (chunk: Uint8Array, how: 'write' | 'take'): Promise<void> => {
    if (state === 'closed') throw new Error('Ingest is closed');
    if (options.size !== undefined && size + chunk.length > options.size) throw sizeMismatch(options.size, 'more');
    const need = Math.max(chunk.length, (options.size ?? 0) - size);
    size += chunk.length;
    await orNoSpace(directory, need, () => writer[how](chunk));
  };

  return {
    write: (chunk) => add(chunk, 'write'),
    take: (chunk) => add(chunk, 'take'),
    async commit(expected = {}) {
      if (state === 'closed') throw new Error('Ingest is closed');
      try {
        if (expected.size !== undefined && expected.size !== size) throw sizeMismatch(expected.size, size);
        const found = await orNoSpace(directory, size, () => writer.finish());
        await writer.stop();
        if (expected.digest !== undefined && expected.digest !== found) throw digestMismatch(expected.digest, found);
        await orNoSpace(directory, size, () => file.handle.sync());
        await file.close();
        // Over a blob that is there already too: these bytes are verified, that one's may have rotted.
        await orNoSpace(directory, size, () => rename(file.path, options.pathOf(found)));
        state = 'closed';
        await options.onCommit(found);
        return { digest: found, size };
      } catch (error) {
        await abort();
        throw error;
      }
    },
    abort,
    [Symbol.asyncDispose]: abort,
  };
}

function openWriter(handle: ScratchFile['handle'], { size, thread }: IngestOptions): BlobWriter {
  const small = (bytes: number): BlobWriter => writeHere(handle, bytes);
  const large = (): BlobWriter => thread().open(handle);
  if (size === undefined) return growingBlob(LARGE_BYTES, { small, large });
  return size < LARGE_BYTES ? small(size) : large();
}

export function digestMismatch(expected: Digest, found: Digest): TsbuildError {
  return new TsbuildError('DIGEST_MISMATCH', `Cannot accept blob: expected ${expected}, found ${found}`);
}

function sizeMismatch(expected: number, found: number | 'more'): TsbuildError {
  return new TsbuildError('DIGEST_MISMATCH', `Cannot accept blob: expected ${expected} bytes, found ${found}`);
}

async function dropFile(file: ScratchFile): Promise<void> {
  try {
    await file.close();
  } finally {
    await rm(file.path, { force: true });
  }
}
