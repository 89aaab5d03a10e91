/** tsbuild's side of a container's terminal: its master, between this process's standard input and `onOutput`. */
import { closeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { receiveDescriptor } from '../sys/descriptor-passing.ts';
import { makeSocketPair } from '../sys/pipe.ts';
import { untilReadable } from '../sys/process.ts';
import { makeRaw, setWindowSize } from '../sys/terminal.ts';
import type { TerminalSize } from './container-spec.ts';
import { type OutputStream, type StepStdio, within } from './step-stdio.ts';
import { windowSize } from './terminal-operations.ts';

const STDIN = 0;

/** Calls `listener` with each new size until the function that it returns is called. */
export type TerminalResizes = (listener: (size: TerminalSize) => void) => () => void;

interface TerminalIo {
  readonly stdin: 'empty' | 'inherit';
  readonly resizes?: TerminalResizes | undefined;
  onOutput(stream: OutputStream, data: Uint8Array): void;
}

/** The master comes from the container's side, once that has made it. */
export function openTerminalStdio(io: TerminalIo): StepStdio {
  const pair = makeSocketPair();
  let theirs: number | undefined = pair.theirs;
  let ours: number | undefined = pair.ours;
  let closed = false;
  let master: Master | undefined;
  const receive = async (): Promise<void> => {
    await untilReadable(pair.ours);
    if (closed) return;
    const fd = receiveDescriptor(pair.ours);
    if (fd === undefined) return;
    master = openMaster(fd, io);
    await master.ended;
  };
  let ended: Promise<void> = Promise.resolve();
  const release = (): void => {
    if (theirs !== undefined) closeSync(theirs);
    theirs = undefined;
  };
  return {
    // What the streams are until the terminal takes their places.
    inputs: new Map((['stdin', 'stdout', 'stderr', 'terminal'] as const).map((role) => [role, pair.theirs])),
    releaseInputs: release,
    started() {
      ended = receive();
      // Whoever waits for it says so.
      ended.catch(() => undefined);
    },
    drain: (graceMs) => within(graceMs, ended),
    close() {
      closed = true;
      release();
      master?.close();
      if (ours !== undefined) closeSync(ours);
      ours = undefined;
    },
  };
}

interface Master {
  readonly ended: Promise<void>;
  close(): void;
}

function openMaster(fd: number, { stdin, resizes, onOutput }: TerminalIo): Master {
  const stream = new ReadStream(fd);
  // EIO: the last process that had the other side open has ended.
  stream.on('error', () => stream.destroy());
  stream.on('data', (data: Buffer) => onOutput('stdout', data));
  const stopResizes = resizes?.((size) => {
    if (!stream.destroyed) setWindowSize(fd, windowSize(size));
  });
  const restore = stdin === 'inherit' ? takeInput(stream) : undefined;
  return {
    ended: new Promise((resolve) => stream.once('close', () => resolve())),
    close() {
      stopResizes?.();
      restore?.();
      stream.destroy();
    },
  };
}

/** A terminal of the caller's passes every key on, until the function that this returns is called, or the process ends. */
function takeInput(stream: ReadStream): () => void {
  const restore = process.stdin.isTTY ? makeRaw(STDIN) : () => {};
  process.once('exit', restore);
  process.stdin.pipe(stream, { end: false });
  return () => {
    process.stdin.unpipe(stream);
    process.stdin.pause();
    process.off('exit', restore);
    restore();
  };
}
