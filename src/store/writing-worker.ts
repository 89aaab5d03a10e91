/** Entry of a thread that hashes and writes large blobs (see writing-thread.ts), so that the one that receives them does nothing else. */
import { createHash, type Hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

export type WritingRequest =
  /** In memory that is shared, and left alone until `piece` is answered. `position`: bytes of `id` before these, which have been sent already. */
  | {
      readonly kind: 'write';
      readonly id: number;
      readonly fd: number;
      readonly piece: number;
      readonly bytes: Uint8Array;
      readonly position: number;
    }
  | { readonly kind: 'digest'; readonly id: number }
  | { readonly kind: 'forget'; readonly id: number };

export type WritingAnswer =
  | { readonly kind: 'written'; readonly id: number; readonly piece: number; readonly failure: WriteFailure | undefined }
  | { readonly kind: 'digest'; readonly id: number; readonly hex: string };

/** Errors lose their class between threads. */
export type WriteFailure = Pick<NodeJS.ErrnoException, 'message' | 'code' | 'errno' | 'syscall'>;

/**
 * Hashed and written while they are near the processor. A larger write makes the kernel look for more memory in one piece, which is often memory that
 * nobody has touched for long: where a virtual machine has given that back to its host, a pull took a third longer.
 */
const PART_BYTES = 64 << 10;

const hashes = new Map<number, Hash>();

parentPort?.on('message', (request: WritingRequest) => {
  const { kind, id } = request;
  const hash = hashes.get(id) ?? createHash('sha256');
  if (kind === 'write') hashes.set(id, hash);
  else hashes.delete(id);
  if (kind === 'digest') post({ kind, id, hex: hash.digest('hex') });
  if (kind !== 'write') return;
  post({ kind: 'written', id, piece: request.piece, failure: writeAll(request, hash) });
});

/** By this thread: to hand each piece on to another one costs more than it saves. A bug of ours ends the thread, and with it what waits for it. */
function writeAll({ fd, bytes, position }: Extract<WritingRequest, { kind: 'write' }>, hash: Hash): WriteFailure | undefined {
  try {
    for (let part = 0; part < bytes.length; part += PART_BYTES) {
      const end = Math.min(part + PART_BYTES, bytes.length);
      hash.update(bytes.subarray(part, end));
      for (let at = part; at < end; ) at += writeSync(fd, bytes, at, end - at, position + at);
    }
    return undefined;
  } catch (error) {
    const { message, code, errno, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { message, code, errno, syscall };
  }
}

function post(message: WritingAnswer): void {
  parentPort?.postMessage(message);
}
