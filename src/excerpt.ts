/** The lines of a Dockerfile around a place, with the place marked: what a user sees above an error. */
import type { SourceLocation } from './errors.ts';

/** Longest line shown, in UTF-16 units. */
const WIDTH_MAX = 160;
/** Most marked lines shown: a heredoc may have thousands. */
const MARKED_MAX = 20;
const RULE = '--------------------';

/**
 * File and line, a rule, `context` lines before and after the marked ones, a rule; no final line break.
 * Control characters are shown as `?`, so that a hostile Dockerfile cannot drive the terminal.
 */
export function formatExcerpt(location: SourceLocation, options: { readonly context: number } = { context: 2 }): string {
  const lines = location.text.split('\n');
  const { startLine } = location.range;
  const endLine = lastLine(location);
  const first = Math.max(1, startLine - options.context);
  const last = Math.min(lines.length - (lines.at(-1) === '' ? 1 : 0), endLine + options.context);
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const marked = number >= startLine && number <= endLine;
    if (marked && number - startLine >= MARKED_MAX) {
      if (number - startLine === MARKED_MAX) shown.push(`${' '.repeat(4)} | >>> (${endLine - number + 1} more lines)`);
      continue;
    }
    shown.push(`${String(number).padStart(4)} | ${marked ? '>>>' : '   '} ${printable(lines[number - 1] ?? '')}`.trimEnd());
  }
  return [`${printable(location.file)}:${startLine}`, RULE, ...shown, RULE].join('\n');
}

/** A range that ends at column 0 does not touch its last line. */
function lastLine({ range }: SourceLocation): number {
  return range.endColumn === 0 && range.endLine > range.startLine ? range.endLine - 1 : range.endLine;
}

function printable(line: string): string {
  const cut = line.length > WIDTH_MAX ? `${line.slice(0, WIDTH_MAX)}...` : line;
  return cut
    .replace(/\r$/, '')
    .replaceAll('\t', '    ')
    .replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?');
}
