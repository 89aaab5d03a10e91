import { constants } from 'node:os';
import { SyscallError, TsbuildError } from '../../errors.ts';
import type { BuildEvent } from '../../events.ts';
import { bundleImage, type RunningContainer, type RunOptions, type RunResult, runImage } from '../../index.ts';
import { plainText } from '../../text/terminal-text.ts';
import type { Flags, Invocation } from '../command-table.ts';
import { isBackground, startInBackground } from '../detach.ts';
import { reportError } from '../exit-code.ts';
import { runOptions } from '../run-flags.ts';
import { printResult, type Terminal } from '../terminal.ts';

/** Beside those that stop tsbuild, what is passed on to the command. */
const PASSED_ON = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** `tsbuild run IMAGE [COMMAND...]`: its output is the output, its exit code the exit code (128+n for a signal). */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = '', ...argv] = operands;
  const onEvent = (event: BuildEvent): void => void (event.kind === 'warning' && warn(terminal, event.message));
  const options = { ...runOptions(flags, terminal.env), name, signal: terminal.signal, onEvent, ...(argv.length === 0 ? {} : { argv }) };
  if (flags.bundle !== undefined) return await writeBundle(options, flags.bundle, { flags, terminal });
  checkTerminal(flags);
  if (flags.detach === true && !isBackground()) return await startInBackground(terminal);
  try {
    const end = flags.detach === true ? await inBackground(options, flags, terminal) : await inForeground(options, flags, terminal);
    if (end.outOfMemory !== undefined) warn(terminal, 'The kernel killed a process of the container, out of memory');
    return exitCodeOf(end);
  } catch (error) {
    const { code, cause } = error instanceof TsbuildError ? error : {};
    if (code !== 'ERR_TSBUILD_RUN_NOT_STARTED') throw error;
    reportError(terminal, error);
    return cause instanceof SyscallError && cause.errno === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE;
  } finally {
    terminal.takeSignals(undefined);
  }
}

/** What has no place in a bundle is refused rather than left out. */
async function writeBundle(
  options: Omit<RunOptions, 'onOutput'>,
  directory: string,
  { flags, terminal }: { readonly flags: Flags; readonly terminal: Terminal },
): Promise<number> {
  const other = (['detach', 'name', 'publish', 'publishAll', 'runtime'] as const).find((flag) => flags[flag] !== undefined);
  if (other !== undefined) throw new TsbuildError('USAGE', `Cannot use --bundle with --${other === 'publishAll' ? 'publish-all' : other}`);
  await bundleImage({ ...options, directory, ...(flags.tty === true ? { terminal: sizeOf(terminal) } : {}) });
  terminal.screen.stream.write(`Wrote ${plainText(directory)}. Start it with: runc run --bundle ${plainText(directory)} NAME\n`);
  return 0;
}

function warn({ screen }: Terminal, message: string): void {
  screen.stream.write(`WARNING: ${plainText(message)}\n`);
}

async function inForeground(options: Omit<RunOptions, 'onOutput'>, flags: Flags, terminal: Terminal): Promise<RunResult> {
  return await runImage({
    ...options,
    ...(flags.tty === true ? { terminal: { ...sizeOf(terminal), resizes: (listener) => watchSize(terminal, listener) } } : {}),
    onOutput(stream, data) {
      (stream === 'stdout' ? terminal.stdout : terminal.screen.stream).write(data);
    },
    onStarted(container) {
      passSignals(container, terminal);
    },
  });
}

/** The process that `startInBackground` made: it tells the id once the command runs, and stays. */
async function inBackground(options: Omit<RunOptions, 'onOutput'>, flags: Flags, terminal: Terminal): Promise<RunResult> {
  return await runImage({
    ...options,
    ...(flags.tty === true ? { terminal: { columns: 80, rows: 24 } } : {}),
    log: flags.rm === true ? 'until it ends' : 'until removed',
    onOutput() {},
    onStarted(container) {
      passSignals(container, terminal);
      printResult(terminal, container.id);
    },
  });
}

function checkTerminal({ detach, interactive, tty }: Flags): void {
  if (detach === true && interactive === true && tty !== true) {
    throw new TsbuildError('USAGE', 'Cannot pass standard input to a container in the background: use --interactive without --detach');
  }
  if (detach !== true && interactive === true && tty === true && !process.stdin.isTTY) {
    throw new TsbuildError('USAGE', 'Cannot run with --interactive and --tty: standard input is no terminal', { hint: 'Leave --tty out.' });
  }
}

/** The first of each is for the command; the same one again is for tsbuild, and ends both. */
function passSignals(container: RunningContainer, terminal: Terminal): void {
  const passed = new Set<NodeJS.Signals>();
  terminal.takeSignals((name) => {
    // A broken pipe is the end of who reads our output, not a message to the command.
    if (name === 'SIGPIPE' || passed.has(name)) return 'left';
    passed.add(name);
    container.signal(name);
    return 'taken';
  });
  for (const name of PASSED_ON) process.on(name, () => container.signal(name));
}

function sizeOf({ stdout }: Terminal): { columns: number; rows: number } {
  return { columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 };
}

function watchSize(terminal: Terminal, listener: (size: { columns: number; rows: number }) => void): () => void {
  const onResize = (): void => listener(sizeOf(terminal));
  terminal.stdout.on('resize', onResize);
  return () => terminal.stdout.off('resize', onResize);
}

function exitCodeOf({ exitCode, signal }: RunResult): number {
  return exitCode ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
}
