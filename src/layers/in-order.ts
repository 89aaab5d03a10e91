/** Blocks of a stream that are worked on side by side and come out in order. */
import { availableParallelism } from 'node:os';

/** More than libuv has threads, so that none waits for the consumer. */
export const BLOCKS_IN_FLIGHT = Math.max(8, availableParallelism() + 4);

/** `work` is started for each item as it comes; never for more than `BLOCKS_IN_FLIGHT` whose results nobody has taken. */
export async function* inOrder<T, R>(source: AsyncIterable<T>, work: (item: T) => Promise<R>): AsyncGenerator<R, void, undefined> {
  const inFlight: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const started = work(item);
      // It may fail long before it is awaited.
      started.catch(() => undefined);
      inFlight.push(started);
      const [first] = inFlight;
      if (inFlight.length < BLOCKS_IN_FLIGHT || first === undefined) continue;
      inFlight.shift();
      yield await first;
    }
    for (let next = inFlight.shift(); next !== undefined; next = inFlight.shift()) yield await next;
  } finally {
    await Promise.allSettled(inFlight);
  }
}

export interface Block {
  readonly block: Buffer;
  readonly isLast: boolean;
}

/** Blocks of exactly `size` bytes and a last one that may be shorter, even empty. Chunks of that size pass uncopied. */
export async function* inBlocks(source: AsyncIterable<Buffer>, size: number): AsyncGenerator<Block, void, undefined> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of source) {
    let at = 0;
    while (pendingBytes + chunk.length - at > size) {
      const part = chunk.subarray(at, at + size - pendingBytes);
      if (part.length > 0) pending.push(part);
      yield { block: joined(pending), isLast: false };
      pending = [];
      pendingBytes = 0;
      at += part.length;
    }
    if (at === chunk.length) continue;
    pending.push(chunk.subarray(at));
    pendingBytes += chunk.length - at;
  }
  yield { block: joined(pending), isLast: true };
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
}
