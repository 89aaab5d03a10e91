/** A blob of unknown size: held in memory until it has ended, or is so large that a thread of its own costs less than it saves. */
import { PIECE_BYTES, takePiece } from '../sys/piece.ts';
import type { BlobWriter } from './blob-writer.ts';

export interface Writers {
  small(bytes: number): BlobWriter;
  large(): BlobWriter;
}

/** `heldMax`: bytes, whole pieces; memory that stays with the process. */
export function growingBlob(heldMax: number, writers: Writers): BlobWriter {
  const held: Buffer[] = [];
  let room = 0;
  let writer: BlobWriter | undefined;

  const pass = async (to: BlobWriter): Promise<BlobWriter> => {
    writer = to;
    const last = held.length - 1;
    for (const [at, piece] of held.splice(0).entries()) await to.take(at === last ? piece.subarray(0, PIECE_BYTES - room) : piece);
    return to;
  };
  /** Bytes of the chunk that are held now; the others did not fit. */
  const hold = (chunk: Uint8Array): number => {
    let at = 0;
    while (at < chunk.length) {
      if (room === 0) {
        if (held.length * PIECE_BYTES >= heldMax) break;
        held.push(takePiece());
        room = PIECE_BYTES;
      }
      const taken = chunk.subarray(at, at + room);
      held.at(-1)?.set(taken, PIECE_BYTES - room);
      room -= taken.length;
      at += taken.length;
    }
    return at;
  };
  const ended = async (): Promise<BlobWriter> => writer ?? (await pass(writers.small(held.length * PIECE_BYTES - room)));
  return {
    async write(chunk) {
      const at = writer === undefined ? hold(chunk) : 0;
      if (at === chunk.length) return;
      const to = writer ?? (await pass(writers.large()));
      await to.write(chunk.subarray(at));
    },
    async take(chunk) {
      await (writer === undefined ? this.write(chunk) : writer.take(chunk));
    },
    finish: async () => await (await ended()).finish(),
    stop: async () => await writer?.stop(),
  };
}
