/** What a command has of the outside world: where its result and its progress go, and when to stop. */
import { openScreen, type Screen } from '../progress/screen.ts';

export interface Terminal {
  /** Only results go here, so that a script can take them. */
  readonly stdout: NodeJS.WriteStream;
  /** Everything else. */
  readonly screen: Screen;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
  /** From now on `take` is asked first about each signal that would abort; undefined ends that. */
  takeSignals(take: SignalTaker | undefined): void;
}

/** `taken`: the signal is not for tsbuild. */
export type SignalTaker = (name: NodeJS.Signals) => 'taken' | 'left';

export function openTerminal(signal: AbortSignal, takeSignals: Terminal['takeSignals'] = () => {}): Terminal {
  return { stdout: process.stdout, screen: openScreen(process.stderr, process.env), env: process.env, signal, takeSignals };
}

/** One line of the result. */
export function printResult(terminal: Terminal, line: string): void {
  terminal.stdout.write(`${line}\n`);
}
