/** How a command ended, for scripts and for people. */
import { errorCodeOf, firstError, TsbuildError } from '../errors.ts';
import { printError } from '../progress/print-error.ts';
import { plainLines } from '../text/terminal-text.ts';
import { machineError } from './machine-error.ts';
import type { Terminal } from './terminal.ts';

/** An error that the renderer has shown already. */
export class ReportedError extends Error {
  constructor(reported: TsbuildError) {
    super(reported.message, { cause: reported });
  }
}

/** 1 the build failed · 2 bad usage · 74 no space · 70 a bug of ours (sysexits.h: EX_IOERR, EX_SOFTWARE). */
export function exitCodeOf(error: unknown): number {
  const first = firstError(error);
  const actual = first instanceof ReportedError ? first.cause : first;
  if (isNoSpace(actual)) return 74;
  if (!(actual instanceof TsbuildError)) return machineError(actual) === undefined ? 70 : 1;
  return actual.code === 'ERR_TSBUILD_USAGE' ? 2 : 1;
}

/** A bug is shown with its stack; an interruption that a signal asked for needs no words beyond its own. */
export function reportError(terminal: Terminal, thrown: unknown): void {
  const error = firstError(thrown);
  if (error instanceof ReportedError) return;
  if (error instanceof TsbuildError) {
    printError(terminal.screen, error);
    return;
  }
  const told = machineError(error) ?? (isNoSpace(error) ? new TsbuildError('NO_SPACE', `Cannot write to the disk: ${error}`) : undefined);
  if (told !== undefined) {
    printError(terminal.screen, told);
    return;
  }
  // What was running when the user interrupted ends in its own words.
  if (terminal.signal.aborted) return;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.screen.stream.write(`${plainLines(text)}\nThis is a bug in tsbuild: please report it with the lines above.\n`);
}

/** Also where an errno comes up from node:fs or as the cause of something else. */
function isNoSpace(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const code = errorCodeOf(at);
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'ERR_TSBUILD_NO_SPACE') return true;
  }
  return false;
}
