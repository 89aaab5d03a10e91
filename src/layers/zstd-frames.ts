/**
 * zstd input cut where frames end. Node's decoder forgets what follows a frame in the same write, and layers have many frames: ours,
 * those of pzstd, and skippable ones (zstd:chunked). Nothing is judged here: that is the decoder's. Source: RFC 8878 3.1.
 */

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const RLE_BLOCK = 1;

/** `read` bytes make a number (little-endian), of which `next` tells what follows; or nothing more, and the frame ends. */
interface Step {
  /** Bytes to pass over first. */
  readonly skip: number;
  readonly read: number;
  readonly next: ((value: number) => Step) | undefined;
}

const START: Step = { skip: 0, read: 4, next: afterMagic };

/** The same bytes in chunks of which none goes on after the end of a frame. */
export async function* cutAtFrameEnds(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let step = START;
  let { skip } = step;
  let value = 0;
  let count = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let at = 0; at < chunk.length; ) {
      const passed = Math.min(skip, chunk.length - at);
      skip -= passed;
      at += passed;
      for (; skip === 0 && count < step.read && at < chunk.length; at++, count++) value += (chunk[at] ?? 0) * 2 ** (8 * count);
      while (skip === 0 && count === step.read) {
        const isEnd = step.next === undefined;
        step = step.next?.(value) ?? START;
        skip = step.skip;
        value = 0;
        count = 0;
        if (!isEnd) continue;
        yield chunk.subarray(start, at);
        start = at;
        break;
      }
    }
    if (start < chunk.length) yield chunk.subarray(start);
  }
}

function afterMagic(magic: number): Step {
  if (magic === MAGIC) return { skip: 0, read: 1, next: afterDescriptor };
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return { skip: 0, read: 4, next: (size) => end(size) };
  return { skip: Number.POSITIVE_INFINITY, read: 1, next: undefined };
}

function afterDescriptor(descriptor: number): Step {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = DICTIONARY_ID_BYTES[descriptor & 3] ?? 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
  return block((isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes, (descriptor & 4) === 0 ? 0 : 4);
}

function block(skip: number, checksumBytes: number): Step {
  return {
    ...{ skip, read: 3 },
    next(header) {
      const size = ((header >> 1) & 3) === RLE_BLOCK ? 1 : header >> 3;
      return (header & 1) === 0 ? block(size, checksumBytes) : end(size + checksumBytes);
    },
  };
}

function end(skip: number): Step {
  return { skip, read: 0, next: undefined };
}
