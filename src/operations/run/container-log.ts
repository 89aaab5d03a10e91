/**
 * What a container in the background wrote: frames of one byte for the stream (1 or 2), six for the time in milliseconds, four
 * for the length (big endian), and the bytes. Once `log` has LOG_BYTES_MAX it becomes `log.1`, and the `log.1` before it is gone.
 */
import { closeSync, fstatSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openIfThere } from '../../sys/if-there.ts';

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr';
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly data: Buffer;
}

export interface ContainerLog {
  write(stream: 'stdout' | 'stderr', data: Uint8Array): void;
  close(): void;
}

const LOG_BYTES_MAX = 10 << 20;
const HEADER_BYTES = 11;
const FRAME_BYTES_MAX = 1 << 20;
const READ_BYTES = 1 << 16;
const POLL_MS = 100;

export function openLog(directory: string): ContainerLog {
  const path = join(directory, 'log');
  let fd = openSync(path, 'ax', 0o600);
  let size = 0;
  return {
    write(stream, data) {
      for (let at = 0; at < data.length; at += FRAME_BYTES_MAX) {
        const frame = frameOf(stream, data.subarray(at, at + FRAME_BYTES_MAX));
        if (size > 0 && size + frame.length > LOG_BYTES_MAX) {
          closeSync(fd);
          renameSync(path, `${path}.1`);
          fd = openSync(path, 'ax', 0o600);
          size = 0;
        }
        writeSync(fd, frame);
        size += frame.length;
      }
    },
    close: () => closeSync(fd),
  };
}

/** All that is there, and with `follow` what comes until `hasEnded` says so. */
export async function* readLog(
  directory: string,
  follow: { hasEnded(): boolean; readonly signal: AbortSignal | undefined } | undefined,
): AsyncGenerator<LogEntry> {
  const path = join(directory, 'log');
  const older = openIfThere(`${path}.1`, 'r');
  if (older !== undefined) {
    try {
      yield* frames(older, { at: 0 });
    } finally {
      closeSync(older);
    }
  }
  let fd = openIfThere(path, 'r');
  if (fd === undefined) return;
  try {
    for (const position = { at: 0 }; ; ) {
      // Asked first, so that nothing is written after the last look.
      const ended = follow === undefined || follow.hasEnded();
      yield* frames(fd, position);
      if (statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) {
        const next = openIfThere(path, 'r');
        if (next === undefined) return;
        closeSync(fd);
        fd = next;
        position.at = 0;
      } else if (ended) return;
      else await sleep(POLL_MS, undefined, follow?.signal === undefined ? {} : { signal: follow.signal });
    }
  } finally {
    closeSync(fd);
  }
}

function frameOf(stream: 'stdout' | 'stderr', data: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + data.length);
  frame.writeUInt8(stream === 'stdout' ? 1 : 2, 0);
  frame.writeUIntBE(Date.now(), 1, 6);
  frame.writeUInt32BE(data.length, 7);
  frame.set(data, HEADER_BYTES);
  return frame;
}

/** The whole frames from `position` on, which moves behind them. What a crash cut short is left. */
function* frames(fd: number, position: { at: number }): Generator<LogEntry> {
  let pending = Buffer.alloc(0);
  const chunk = Buffer.alloc(READ_BYTES);
  for (let from = position.at; ; ) {
    const read = readSync(fd, chunk, 0, chunk.length, from);
    if (read === 0) return;
    from += read;
    pending = Buffer.concat([pending, chunk.subarray(0, read)]);
    while (pending.length >= HEADER_BYTES) {
      const size = HEADER_BYTES + pending.readUInt32BE(7);
      if (pending.length < size) break;
      const stream = pending.readUInt8(0) === 1 ? 'stdout' : 'stderr';
      yield { stream, time: pending.readUIntBE(1, 6), data: Buffer.from(pending.subarray(HEADER_BYTES, size)) };
      pending = pending.subarray(size);
      position.at += size;
    }
  }
}
