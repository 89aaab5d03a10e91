/** A thread that hashes and writes large blobs, so that the one that receives them does nothing else. At most a few MiB of each blob are on their way. */
import type { FileHandle } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { entryFile } from '../sys/entry-file.ts';
import { PIECE_BYTES, takePiece } from '../sys/piece.ts';
import type { BlobWriter } from './blob-writer.ts';
import { type PiecesUnderWay, type State, trackPieces } from './pieces-under-way.ts';
import type { WritingAnswer, WritingRequest } from './writing-worker.ts';

export interface WritingThread {
  open(handle: FileHandle): BlobWriter;
  /** Writers under way fail. */
  close(): Promise<void>;
}

/** Pieces of one blob that the thread may have. */
const PIECES_MAX = 4;

interface Thread {
  readonly worker: Worker;
  readonly writers: Map<number, PiecesUnderWay>;
  /** Why nothing is written any more. */
  ended: Error | undefined;
}

export function startWritingThread(): WritingThread {
  const worker = new Worker(entryFile('writing-worker.js', import.meta.url), { env: {}, execArgv: [], trackUnmanagedFds: false });
  const thread: Thread = { worker, writers: new Map(), ended: undefined };
  const failAll = (error: Error): void => {
    thread.ended ??= error;
    for (const pieces of thread.writers.values()) pieces.end(error);
  };
  worker.on('error', failAll);
  worker.on('exit', () => failAll(new Error('The thread that writes blobs has ended')));
  worker.on('message', (answer: WritingAnswer) => {
    thread.writers.get(answer.id)?.take(answer);
  });
  // Listening has made the process wait for it.
  worker.unref();
  let count = 0;
  return {
    open: (handle) => openWriter(thread, count++, handle.fd),
    async close() {
      await worker.terminate();
    },
  };
}

function openWriter(thread: Thread, id: number, fd: number): BlobWriter {
  const pieces = trackPieces(fd);
  // The process lives as long as a blob is written.
  if (thread.writers.size === 0) thread.worker.ref();
  thread.writers.set(id, pieces);
  if (thread.ended !== undefined) pieces.end(thread.ended);
  const post = (request: WritingRequest): void => thread.worker.postMessage(request);
  let [filling, filled]: [Buffer | undefined, number] = [undefined, 0];
  const send = (bytes: Uint8Array): void => {
    post({ kind: 'write', id, fd, bytes, ...pieces.expect(bytes) });
  };
  const pass = (): void => {
    if (filling !== undefined) send(filling.subarray(0, filled));
    [filling, filled] = [undefined, 0];
  };
  const isFree = ({ underWay }: State): boolean => underWay.size < PIECES_MAX;
  const write = async (chunk: Uint8Array): Promise<void> => {
    for (let at = 0; at < chunk.length; ) {
      await pieces.until(isFree);
      filling ??= takePiece();
      const taken = chunk.subarray(at, at + PIECE_BYTES - filled);
      filling.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled === PIECE_BYTES) pass();
    }
  };
  return {
    write,
    async take(chunk) {
      if (!(chunk.buffer instanceof SharedArrayBuffer)) return await write(chunk);
      pass();
      await pieces.until(isFree);
      send(chunk);
    },
    async finish() {
      pass();
      post({ kind: 'digest', id });
      const { digest } = await pieces.until((state) => state.digest !== undefined && state.underWay.size === 0);
      return digest ?? Promise.reject(new Error('A digest without bytes'));
    },
    async stop() {
      await pieces.until(({ underWay }) => underWay.size === 0, 'also after a failure');
      if (!thread.writers.delete(id)) return;
      post({ kind: 'forget', id });
      if (thread.writers.size === 0) thread.worker.unref();
    },
  };
}
