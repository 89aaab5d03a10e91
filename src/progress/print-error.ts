/** An error as its reader needs it: the place, the last output, what happened, what to do. */
import type { TsbuildError } from '../errors.ts';
import { formatExcerpt } from '../excerpt.ts';
import { outputText, plainLines, plainText } from '../text/terminal-text.ts';
import type { Screen } from './screen.ts';

/** `output`: the last lines of the failed step where the reader has not seen them yet. */
export function printError(screen: Screen, error: TsbuildError, output: readonly string[] = []): void {
  screen.stream.write(formatError(screen, error, output));
}

export function formatError(screen: Screen, error: TsbuildError, output: readonly string[] = []): string {
  const { paint } = screen;
  const parts: string[] = [];
  if (output.length > 0) parts.push(...output.map((line) => `${paint.dim('|')} ${outputText(line, screen.colours)}`));
  if (error.location !== undefined) parts.push(formatExcerpt(error.location));
  parts.push(`${paint.red(error.code)}: ${plainLines(error.message)}`);
  if (error.hint !== undefined) parts.push(`  ${paint.cyan('hint')}: ${plainText(error.hint)}`);
  return `${parts.join('\n')}\n`;
}
