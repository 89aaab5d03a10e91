/** A decoder of the machine's libzstd as a stream, like those of node:zlib. */
import { Transform, type TransformCallback } from 'node:stream';
import { type ZstdDecoder, ZstdError } from '../sys/zstd-library.ts';

const CHUNK_BYTES = 1 << 18;

export class ZstdTransform extends Transform {
  /** Bytes of input that were taken. */
  bytesWritten = 0;
  readonly #decoder: ZstdDecoder;
  #isFrameEnd = true;

  constructor(decoder: ZstdDecoder) {
    super({ readableHighWaterMark: CHUNK_BYTES });
    this.#decoder = decoder;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#decode(chunk);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    done(this.#isFrameEnd ? null : new ZstdError('unexpected end of input'));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#decoder[Symbol.dispose]();
    done(error);
  }

  /** A full output may be followed by more of the same input, also where all of that is taken. */
  #decode(chunk: Buffer): void {
    for (let at = 0, isFull = false; at < chunk.length || isFull; ) {
      const output = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const { taken, given, isFrameEnd } = this.#decoder.decode(chunk.subarray(at), output);
      at += taken;
      this.bytesWritten += taken;
      this.#isFrameEnd = isFrameEnd;
      isFull = given === output.length;
      if (given > 0) this.push(output.subarray(0, given));
    }
  }
}
