/** Cuts a Dockerfile's lines into instructions: continuations, comments and blank lines within them, heredoc bodies. */
import { type SourceRange, TsbuildError } from '../errors.ts';
import { extractFlags } from './flag-words.ts';
import { findHeredocs, type HeredocMarker } from './heredoc.ts';
import type { Escape, Heredoc } from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { splitFirst } from './words.ts';

/** An instruction's text, not yet understood. */
export interface Segment {
  /** Continuations joined without any character between them; blanks around it stripped. */
  readonly line: string;
  readonly range: SourceRange;
  /** Last line before the heredoc bodies. */
  readonly headEndLine: number;
  readonly heredocs: readonly Heredoc[];
  /** 1-based number of the first blank line inside the continuation. */
  readonly blankLine: number | undefined;
}

/** Lines without their `\n` but with their `\r`. */
export interface SourceLines {
  readonly file: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly escape: Escape;
}

/** Longest physical line in bytes: what the field's tools accept. */
const LINE_BYTES_MAX = 65_535;
const HEREDOC_KEYWORDS: ReadonlySet<string> = new Set(['RUN', 'COPY', 'ADD']);

/** The physical lines of a text; a final line break ends the last line and begins none. */
export function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * The instructions of the lines, one by one: nothing is kept of those that were taken. Linear in the text. Throws
 * DOCKERFILE_SYNTAX for a line too long or a heredoc without end.
 */
export function* segment(source: SourceLines): Generator<Segment, void, undefined> {
  checkLineLengths(source);
  let next = 0;
  while (next < source.lines.length) {
    const head = readHead(source, next);
    next = head.next;
    if (head.line === '') continue;
    const { heredocs, end } = head.line.includes('<<') ? readHeredocs(source, head) : withoutHeredocs(head);
    next = Math.max(next, end);
    yield {
      line: head.line,
      range: {
        startLine: head.startLine,
        startColumn: head.startColumn,
        endLine: end,
        endColumn: (source.lines[end - 1] ?? '').trimEnd().length,
      },
      headEndLine: head.endLine,
      heredocs,
      blankLine: head.blankLine,
    };
  }
}

interface Head {
  readonly line: string;
  readonly startLine: number;
  readonly startColumn: number;
  /** 1-based, inclusive. */
  readonly endLine: number;
  readonly blankLine: number | undefined;
  /** Index of the first line not read. */
  readonly next: number;
}

/** One logical line from physical line `start` (0-based) on; its `line` is empty for a comment or a blank line. */
function readHead({ lines, escape: escapeChar }: SourceLines, start: number): Head {
  const first = (lines[start] ?? '').trimEnd();
  const text = first.trimStart();
  const startColumn = first.length - text.length;
  const position = { startLine: start + 1, startColumn };
  if (text === '' || text.startsWith('#')) return { line: '', ...position, endLine: start + 1, blankLine: undefined, next: start + 1 };
  let piece = cutContinuation(text, escapeChar);
  if (!piece.continues) return { line: text, ...position, endLine: start + 1, blankLine: undefined, next: start + 1 };
  const parts = [piece.text];
  let blankLine: number | undefined;
  let endLine = start + 1;
  let next = start + 1;
  for (; piece.continues && next < lines.length; next++) {
    const line = lines[next] ?? '';
    const trimmed = line.trim();
    if (trimmed.startsWith('#')) continue;
    if (trimmed === '') {
      blankLine ??= next + 1;
      continue;
    }
    piece = cutContinuation(withoutCarriageReturn(line), escapeChar);
    parts.push(piece.text);
    endLine = next + 1;
  }
  return { line: parts.join('').trim(), ...position, endLine, blankLine, next };
}

/** An escape character at the end, blanks after it allowed, continues the line, unless it is itself escaped. */
function cutContinuation(line: string, escapeChar: Escape): { text: string; continues: boolean } {
  let end = line.length - 1;
  while (end >= 0 && (line[end] === ' ' || line[end] === '\t')) end--;
  const continues = end >= 0 && line[end] === escapeChar && line[end - 1] !== escapeChar;
  return continues ? { text: line.slice(0, end), continues } : { text: line, continues };
}

function withoutCarriageReturn(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === '\r') end--;
  return line.slice(0, end);
}

interface Bodies {
  readonly heredocs: readonly Heredoc[];
  /** Last line of the instruction with them, 1-based. */
  readonly end: number;
}

const NO_HEREDOCS: readonly Heredoc[] = Object.freeze([]);

function withoutHeredocs(head: Head): Bodies {
  return { heredocs: NO_HEREDOCS, end: head.endLine };
}

/** The bodies of the heredocs that a line announces, read one after another from the lines below it. */
function readHeredocs(source: SourceLines, head: Head): Bodies {
  const markers = mayHoldHeredoc(head.line) ? findHeredocs(head.line) : [];
  if (markers.length === 0) return withoutHeredocs(head);
  let end = head.next;
  const heredocs = markers.map((marker) => {
    const read = readBody(source, { marker, head, start: end });
    end = read.next;
    return read.heredoc;
  });
  return { heredocs, end };
}

/** RUN, COPY and ADD, also under ONBUILD, but not in their JSON form. */
function mayHoldHeredoc(line: string): boolean {
  const { first, rest } = splitFirst(line);
  const keyword = first.toUpperCase();
  if (keyword === 'ONBUILD') return rest !== '' && splitFirst(rest).first.toUpperCase() !== 'ONBUILD' && mayHoldHeredoc(rest);
  return HEREDOC_KEYWORDS.has(keyword) && readJsonForm(extractFlags(rest).rest).form === 'none';
}

interface BodyRequest {
  readonly marker: HeredocMarker;
  readonly head: Head;
  readonly start: number;
}

/** Up to the line that is exactly the delimiter; `<<-` allows tabs before it. Line breaks in the body stay as they are. */
function readBody(source: SourceLines, { marker, head, start }: BodyRequest): { heredoc: Heredoc; next: number } {
  let nearMiss: number | undefined;
  for (let next = start; next < source.lines.length; next++) {
    const line = withoutCarriageReturn(source.lines[next] ?? '');
    if ((marker.chomp ? line.replace(/^\t+/, '') : line) === marker.name) {
      const body = bodyOf(source.lines, start, next);
      const { name, fd, chomp, expand } = marker;
      return { heredoc: { name, fd, chomp, expand, body }, next: next + 1 };
    }
    if (nearMiss === undefined && line.trim() === marker.name) nearMiss = next + 1;
  }
  const range = {
    startLine: head.startLine,
    startColumn: head.startColumn,
    endLine: head.endLine,
    endColumn: (source.lines[head.endLine - 1] ?? '').trimEnd().length,
  };
  throw new TsbuildError(
    'DOCKERFILE_SYNTAX',
    `Cannot find the end of heredoc ${marker.name.slice(0, 80)}: no line below is exactly ${marker.name.slice(0, 80)}`,
    {
      hint: nearMiss === undefined ? undefined : nearMissHint(nearMiss, marker),
      location: { file: source.file, text: source.text, range },
    },
  );
}

/** Most have one line. */
function bodyOf(lines: readonly string[], start: number, end: number): string {
  if (end - start === 1) return `${lines[start]}\n`;
  return end === start ? '' : `${lines.slice(start, end).join('\n')}\n`;
}

function nearMissHint(line: number, { chomp, name }: HeredocMarker): string {
  return chomp
    ? `Line ${line} has blanks around ${name.slice(0, 80)}; <<- strips leading tabs only.`
    : `Line ${line} has blanks around ${name.slice(0, 80)}; take them away, or write <<- and indent by tabs.`;
}

function checkLineLengths({ file, text, lines }: SourceLines): void {
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    // A UTF-16 unit is at most three bytes.
    if (line.length * 3 <= LINE_BYTES_MAX || Buffer.byteLength(line) <= LINE_BYTES_MAX) continue;
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot read line ${index + 1}: it is longer than ${LINE_BYTES_MAX} bytes`, {
      hint: 'Split it with line continuations, or COPY the text from a file.',
      location: { file, text, range: { startLine: index + 1, startColumn: 0, endLine: index + 1, endColumn: line.length } },
    });
  }
}
