/** Memory for bytes on their way: pieces of 1 MiB that threads can share, used again and again, since fresh ones cost page faults and collections of garbage. */

export const PIECE_BYTES = 1 << 20;
/** As many are kept as a few transfers at once use. */
const SPARE_MAX = 32;

const spare = new Set<ArrayBufferLike>();

/** A piece whose content is anything. Whoever does not return it leaves it to the garbage collector. */
export function takePiece(): Buffer {
  for (const memory of spare) {
    spare.delete(memory);
    return Buffer.from(memory);
  }
  return Buffer.from(new SharedArrayBuffer(PIECE_BYTES));
}

/** For who alone has `bytes`, and uses them no more: where they lie in a piece it can be taken anew. */
export function returnPiece({ buffer }: Uint8Array): void {
  if (buffer instanceof SharedArrayBuffer && buffer.byteLength === PIECE_BYTES && spare.size < SPARE_MAX) spare.add(buffer);
}
