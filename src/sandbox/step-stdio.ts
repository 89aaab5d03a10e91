/** The step's ends of its standard streams, and tsbuild's: real pipes, so that a step can open /dev/stdout (security N2). */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { makePipe } from '../sys/pipe.ts';

export type OutputStream = 'stdout' | 'stderr';

export interface StepStdio {
  /** Roles of the child's descriptors: `stdout`, `stderr`, and `stdin` (without a pipe it is a stand-in that the program replaces). */
  readonly inputs: ReadonlyMap<'stdin' | 'stdout' | 'stderr' | 'terminal', number>;
  /** Closes this process's copies of the child's ends, so that the streams can end; once it is started, or failed to. */
  releaseInputs(): void;
  /** The container is being made. */
  started(): void;
  /** Resolves when both outputs have ended, or after `graceMs`: a process outside may have been handed the pipe. */
  drain(graceMs: number): Promise<void>;
  close(): void;
}

/** `empty`: the program has a null device to read. `ended`: it has none, and reads the end of a pipe. libuv polls the reading ends: none of its four threads waits for a step. */
export function openStepStdio(stdin: 'empty' | 'ended' | 'inherit', onOutput: (stream: OutputStream, data: Uint8Array) => void): StepStdio {
  const stdout = makePipe();
  const stderr = makePipe();
  const outputs = [
    { socket: readFrom(stdout.read), stream: 'stdout' },
    { socket: readFrom(stderr.read), stream: 'stderr' },
  ] as const;
  for (const { socket, stream } of outputs) socket.on('data', (data: Buffer) => onOutput(stream, data));
  const ended = Promise.all(outputs.map(({ socket }) => new Promise<void>((resolve) => socket.once('close', () => resolve()))));
  const feed = stdin === 'empty' ? undefined : stdin === 'inherit' ? feedStdin() : endedStdin();
  let theirs: readonly number[] = feed === undefined ? [stdout.write, stderr.write] : [stdout.write, stderr.write, feed.read];
  return {
    inputs: new Map([
      ['stdin', feed?.read ?? stdout.write],
      ['stdout', stdout.write],
      ['stderr', stderr.write],
    ]),
    releaseInputs() {
      for (const fd of theirs) closeSync(fd);
      theirs = [];
    },
    started() {},
    drain: (graceMs) => within(graceMs, ended),
    close() {
      this.releaseInputs();
      feed?.stop();
      for (const { socket } of outputs) socket.destroy();
    },
  };
}

/** Resolves with `ended`, or after so long. */
export async function within(ms: number, ended: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([ended, grace]);
  clearTimeout(timer);
}

function readFrom(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

/** There is nothing to read, and nobody who could write. */
function endedStdin(): { read: number; stop(): void } {
  const { read, write } = makePipe();
  closeSync(write);
  return { read, stop() {} };
}

/** Copies this process's standard input to a pipe: a step gets neither the terminal nor a file of the caller's. */
function feedStdin(): { read: number; stop(): void } {
  const { read, write } = makePipe();
  const sink = new Socket({ fd: write, readable: false, writable: true });
  sink.on('error', (error: NodeJS.ErrnoException) => {
    // The step does not read on: EPIPE is its right.
    if (error.code !== 'EPIPE') throw error;
  });
  process.stdin.pipe(sink);
  return {
    read,
    stop() {
      process.stdin.unpipe(sink);
      process.stdin.pause();
      sink.destroy();
    },
  };
}
