/** The process: argv in, exit code out. The only file that ends it. */
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { readVersion } from '../read-version.ts';
import { exitCodeOf, reportError } from './exit-code.ts';
import { type ParsedCommand, parseCommandLine } from './parse-command-line.ts';
import { runCommand } from './run-command.ts';
import { openTerminal, type SignalTaker, type Terminal } from './terminal.ts';
import { moveIfNeeded } from './without-root.ts';

type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGQUIT' | 'SIGPIPE';

const interrupt = new AbortController();
let received: SignalName | undefined;
let taker: SignalTaker | undefined;

/** The first signal stops the work in order; the second does not wait for that. */
function stop(signal: SignalName): void {
  if (taker?.(signal) === 'taken') return;
  if (received !== undefined) process.exit(128 + constants.signals[signal]);
  received = signal;
  interrupt.abort(signal);
}

type Parsed = ParsedCommand | { readonly help: string };

/** What the user asked for, in a process that can do it; or why not, kept until there is a terminal to tell it on. */
async function prepare(): Promise<() => Parsed> {
  try {
    const parsed = parseCommandLine(process.argv.slice(2), readVersion());
    await moveIfNeeded(parsed);
    return () => parsed;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

async function main(prepared: () => Parsed, terminal: Terminal): Promise<number> {
  try {
    return await runCommand(prepared(), terminal);
  } catch (error) {
    reportError(terminal, error);
    return received === undefined ? exitCodeOf(error) : 128 + constants.signals[received];
  }
}

/** A function, since a module that waits at its top cannot be CommonJS, which Node loads sooner. */
async function start(): Promise<never> {
  const prepared = await prepare();
  // SIGQUIT, too: a dump of our memory would hold secrets.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => stop(signal));
  // Whoever read the result has gone: as for any command in a pipe.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? (received ?? stop('SIGPIPE')) : bug(error)));
  // Nobody watches any more; the result is still wanted.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' || error.code === 'EIO' ? undefined : bug(error)));
  process.on('uncaughtException', bug);
  process.once('exit', leaveStreams);

  const terminal = openTerminal(interrupt.signal, (take) => {
    taker = take;
  });
  const code = await main(prepared, terminal);
  // What was written last may fail only now, and a slow reader has not taken it yet: ending would throw it away.
  await Promise.race([Promise.all([process.stdout, process.stderr].map(flushed)), interrupted()]);
  await new Promise((resolve) => setImmediate(resolve));
  process.exit(received === undefined ? code : 128 + constants.signals[received]);
}

/**
 * All is written by now. koffi syncs both streams when the process ends, says so where that fails, as on a full disk, and waits for a lock for
 * ever then: something that is synced at once takes their places. `open` gives the lowest free number.
 */
function leaveStreams(): void {
  for (const fd of [1, 2]) {
    try {
      closeSync(fd);
    } catch {
      // Somebody else has closed it.
    }
  }
  for (let fd = -1; fd < 2; ) fd = openNothing();
}

/** Without /dev the root directory will do. */
function openNothing(): number {
  for (const path of ['/dev/null', '/']) {
    try {
      return openSync(path, 'r');
    } catch {
      // The next one, then.
    }
  }
  return Number.POSITIVE_INFINITY;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => (stream.destroyed || stream.writableEnded ? resolve() : stream.write('', () => resolve())));
}

function interrupted(): Promise<void> {
  if (interrupt.signal.aborted) return Promise.resolve();
  return new Promise((resolve) => interrupt.signal.addEventListener('abort', () => resolve(), { once: true }));
}

function bug(error: unknown): void {
  reportError(openTerminal(interrupt.signal), error);
  // A stream that the interruption closed may complain: that is no bug.
  process.exit(received === undefined ? exitCodeOf(error) : 128 + constants.signals[received]);
}

void start();
