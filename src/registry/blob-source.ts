/** The bytes of a blob on their way out: read in order, counted, and given in pieces, so that an upload can go on where it broke. */
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type OnProgress, throttleProgress } from './transfer-progress.ts';

export type OpenBlob = () => AsyncIterable<Buffer>;

export interface BlobSource extends AsyncDisposable {
  /** Bytes from `from` on, `to` excluded; where they begin before what was read last, the source is opened again. */
  piece(from: number, to: number): AsyncGenerator<Buffer, void, undefined>;
  /** Whether all bytes were handed out since the source was opened last. */
  readonly isSpent: boolean;
}

/** One opening of the blob, read forward. */
interface Reading {
  readonly chunks: AsyncIterator<Buffer>;
  position: number;
  /** Read and not handed out. */
  rest: Buffer;
  /** A piece is being read: the one who comes meanwhile opens another reading. */
  isTaken: boolean;
}

/**
 * Throws DIGEST_MISMATCH where the source has not exactly as many bytes as it should: that is our own store's fault, not the
 * registry's. The last bytes go out only when the source has come to its end, where it may find that its bytes are wrong: a
 * registry never has all of such a blob, and its own verdict cannot come first.
 */
export function blobSource(blob: Descriptor, open: OpenBlob, onProgress: OnProgress | undefined): BlobSource {
  const report = throttleProgress(onProgress);
  let reading: Reading | undefined;
  return {
    async *piece(from, to) {
      const mine = reading !== undefined && !reading.isTaken && reading.position <= from ? reading : start(open);
      if (reading !== mine) await reading?.chunks.return?.();
      reading = mine;
      mine.isTaken = true;
      while (mine.position < to) {
        const chunk = await take(mine, blob, mine.position < from ? from : to);
        if (mine.position <= from) continue;
        report({ id: blob.digest, bytes: mine.position, total: blob.size, direction: 'push' });
        yield chunk;
      }
      mine.isTaken = false;
    },
    get isSpent() {
      return reading?.position === blob.size;
    },
    async [Symbol.asyncDispose]() {
      await reading?.chunks.return?.();
    },
  };
}

function start(open: OpenBlob): Reading {
  return { chunks: open()[Symbol.asyncIterator](), position: 0, rest: Buffer.alloc(0), isTaken: false };
}

/** The next bytes, none at `end` or behind it. */
async function take(reading: Reading, blob: Descriptor, end: number): Promise<Buffer> {
  while (reading.rest.length === 0) {
    const next = await reading.chunks.next();
    if (next.done === true) throw wrongSource(blob, `${reading.position} bytes`);
    reading.rest = next.value;
    if (reading.position + reading.rest.length > blob.size) throw wrongSource(blob, 'more');
  }
  const chunk = reading.rest.subarray(0, end - reading.position);
  reading.rest = reading.rest.subarray(chunk.length);
  if (reading.position + chunk.length === blob.size) await expectEnd(reading, blob);
  reading.position += chunk.length;
  return chunk;
}

async function expectEnd({ chunks }: Reading, blob: Descriptor): Promise<void> {
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
    if (next.value.length > 0) throw wrongSource(blob, 'more');
  }
}

function wrongSource(blob: Descriptor, found: string): TsbuildError {
  return new TsbuildError(
    'DIGEST_MISMATCH',
    `Cannot push blob ${blob.digest}: its source should give ${blob.size} bytes and gave ${found}`,
  );
}
