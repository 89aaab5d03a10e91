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
}

export function openTerminal(signal: AbortSignal): Terminal {
  return { stdout: process.stdout, screen: openScreen(process.stderr, process.env), env: process.env, signal };
}

/** One line of the result. */
export function printResult(terminal: Terminal, line: string): void {
  terminal.stdout.write(`${line}\n`);
}
