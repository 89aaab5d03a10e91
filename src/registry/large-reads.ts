/**
 * What a socket reads at once: as much as is there, up to a piece, once it has shown that it brings much. Node's own reads take at most 64 KiB and
 * fresh memory each, which is more than half of what receiving a large blob costs. Source: `onread` of net.Socket.
 */
import type { OnReadOpts, Socket } from 'node:net';
import { PIECE_BYTES, takePiece } from '../sys/piece.ts';

const SMALL_BYTES = 64 << 10;

/** A piece that has been read into and handed on, from its beginning to `end`. */
interface Lent {
  readonly piece: Buffer;
  readonly end: number;
  isKept: boolean;
}

const lent = new WeakMap<ArrayBufferLike, Lent>();

/** Whether the piece that `bytes` lie in is the caller's from now on (sys/piece.ts). Only the end of what a socket read is given: parsers still need what comes before. */
export function keepRead({ buffer, byteOffset, length }: Uint8Array): boolean {
  const read = lent.get(buffer);
  if (read === undefined || byteOffset + length !== read.end) return false;
  read.isKept = true;
  return lent.delete(buffer);
}

/**
 * Options of `net.connect` for one socket, which stays a stream. Chunks of more than 64 KiB are good until the stream has been read empty and gets
 * the next but one: before it reads on, a reader copies what it wants, or keeps the memory. Smaller ones are good for ever, since they may be pieces
 * of headers, which undici's parser keeps where they are until it has them all.
 */
export function largeReads(): { readonly onread: OnReadOpts; readonly highWaterMark: number } {
  let reading: Buffer = Buffer.allocUnsafeSlow(SMALL_BYTES);
  let fresh = (): Buffer => Buffer.allocUnsafeSlow(SMALL_BYTES);
  let other: Lent | undefined;
  /** Whatever is still to be read lies in memory that is left to it. */
  const takeFree = (isReadEmpty: boolean): Buffer => {
    if (!isReadEmpty || other === undefined || other.isKept) return takePiece();
    lent.delete(other.piece.buffer);
    return other.piece;
  };
  const lend = (piece: Buffer, end: number): Lent => {
    const read = { piece, end, isKept: false };
    lent.set(piece.buffer, read);
    return read;
  };
  const callback = function (this: Socket, bytes: number, memory: Uint8Array): boolean {
    if (bytes === SMALL_BYTES) fresh = takePiece;
    if (bytes > SMALL_BYTES) {
      const next = takeFree(this.readableLength === 0);
      other = reading.length === PIECE_BYTES ? lend(reading, bytes) : undefined;
      reading = next;
    } else {
      const rest = reading.subarray(bytes);
      reading = rest.length >= SMALL_BYTES ? rest : fresh();
    }
    return this.push(memory.subarray(0, bytes));
  };
  return { highWaterMark: PIECE_BYTES, onread: { buffer: () => reading, callback } as OnReadOpts };
}
