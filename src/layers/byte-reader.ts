/** Exact pieces of a stream of chunks. Pieces that lie within one chunk are views of it, and as good as it is: maybe until more is read. */
import { TsbuildError } from '../errors.ts';

export class ByteReader {
  private readonly source: AsyncIterator<Buffer>;
  private chunk: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.source = source[Symbol.asyncIterator]();
  }

  /** `count` bytes where they are here already: most headers need no waiting. */
  readNow(count: number): Buffer | undefined {
    if (this.chunk.length < count) return undefined;
    const piece = this.chunk.subarray(0, count);
    this.chunk = this.chunk.subarray(count);
    return piece;
  }

  /** `count` bytes; undefined where the stream has ended. Throws LAYER_INVALID where it ends in between. */
  async read(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.take(left);
      if (part === undefined && parts.length === 0) return undefined;
      if (part === undefined) throw truncated();
      if (part.length === count) return part;
      // What it is a view of may have other bytes when the next part is here.
      parts.push(Buffer.from(part));
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Passes over `count` bytes. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.takeOrFail(left)).length;
  }

  async takeOrFail(count: number): Promise<Buffer> {
    const part = await this.take(count);
    if (part === undefined) throw truncated();
    return part;
  }

  /** Reads on to the end of the stream. */
  async drain(): Promise<void> {
    this.chunk = Buffer.alloc(0);
    for (let next = await this.source.next(); next.done !== true; ) next = await this.source.next();
  }

  async close(): Promise<void> {
    await this.source.return?.();
  }

  /** Between 1 and `count` bytes, undefined at the end. */
  private async take(count: number): Promise<Buffer | undefined> {
    while (this.chunk.length === 0) {
      const next = await this.source.next();
      if (next.done === true) return undefined;
      this.chunk = next.value;
    }
    return this.readNow(Math.min(count, this.chunk.length));
  }
}

function truncated(): TsbuildError {
  return new TsbuildError('LAYER_INVALID', 'Cannot read a layer: it ends in the middle of an entry');
}
