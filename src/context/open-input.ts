/** A file, a pipe or standard input as chunks whose reading an interruption ends. */
import { closeSync, constants, createReadStream, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { TsbuildError } from '../errors.ts';

export interface Input extends Disposable {
  readonly chunks: AsyncIterable<Buffer>;
}

const CHUNK = 1 << 20;

/** `file`: a path, or `-` for standard input. Chunks end with the signal's reason when it aborts. Throws CONTEXT_NOT_FOUND. */
export function openInput(file: string, signal: AbortSignal): Input {
  const stream = file === '-' ? process.stdin : openFile(file);
  const stop = () =>
    stream.destroy(signal.reason instanceof Error ? signal.reason : new TsbuildError('INTERRUPTED', 'Cannot go on reading'));
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  return {
    chunks: stream,
    [Symbol.dispose]() {
      signal.removeEventListener('abort', stop);
      stream.destroy();
    },
  };
}

function openFile(file: string): Readable {
  // A thread that waits for the other end of a fifo could not be called back; a socket waits in the event loop.
  const fd = openOrThrow(file);
  const stat = fstatSync(fd);
  if (stat.isFIFO()) return new Socket({ fd, readable: true, writable: false });
  if (!stat.isDirectory()) return createReadStream(file, { fd, highWaterMark: CHUNK });
  closeSync(fd);
  throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot read ${file}: it is a directory`);
}

function openOrThrow(file: string): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}
