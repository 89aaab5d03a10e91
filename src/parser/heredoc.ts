/** Here-documents: finding their markers in an instruction's line. Source: Dockerfile reference "Here-Documents". */
import type { Heredoc } from './instruction.ts';
import { isBlank } from './words.ts';

/** `<<-"EOF"` taken apart. */
export type HeredocMarker = Omit<Heredoc, 'body'>;

const MARKER = /^(\d{0,4})<<(-?)([^<]*)$/;
const SPACED_MARKER = /^\d{0,4}<<-?$/;
/** What may follow a blank after `<<`: narrower than without, so that `$((1 << 2))` stays arithmetic. */
const SPACED_NAME = /^(?:[A-Za-z_][\w.-]*|"[^"<]+"|'[^'<]+')$/;
const BLANK = /\s/;
/** Nothing in it is quoted, escaped or blank. */
const PLAIN_NAME = /^[\w.-]+$/;

/** The markers of a line, in order. A line whose quotes do not close has none. */
export function findHeredocs(line: string): HeredocMarker[] {
  const words = shellWords(line);
  if (words === undefined) return [];
  const markers: HeredocMarker[] = [];
  for (const word of joinSpacedMarkers(words)) {
    const marker = parseMarker(word);
    if (marker !== undefined) markers.push(marker);
  }
  return markers;
}

/** The marker that a whole word is, if it is one. */
export function parseMarker(word: string): HeredocMarker | undefined {
  const match = word.includes('<<') ? MARKER.exec(word) : null;
  if (match === null) return undefined;
  const [, fd = '', dash = '', written = ''] = match;
  const name = unquote(written.trim());
  if (name === undefined || name === '') return undefined;
  return { name, fd: fd === '' ? 0 : Number(fd), chomp: dash === '-', expand: name === written.trim() };
}

/** `<<`, `EOF` → `<<EOF`: the marker may have a blank before its name. */
export function joinSpacedMarkers(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const next = words[index + 1];
    if (next !== undefined && word.includes('<<') && SPACED_MARKER.test(word) && SPACED_NAME.test(next)) {
      joined.push(word + next);
      index++;
    } else joined.push(word);
  }
  return joined;
}

/** The text that a heredoc stands for: `<<-` strips leading tabs, and only tabs. */
export function heredocContent(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.body.replace(/(^|\n)\t+/g, '$1') : heredoc.body;
}

/** Splits at blanks outside quotes and keeps quotes and escapes; undefined if a quote does not close. The escape is always a backslash here. */
function shellWords(line: string): string[] | undefined {
  const words: string[] = [];
  let start = -1;
  let quote = '';
  for (let index = 0; index < line.length; index++) {
    const char = line.charAt(index);
    if (quote === '' && isBlank(char)) {
      if (start !== -1) words.push(line.slice(start, index));
      start = -1;
      continue;
    }
    if (start === -1) start = index;
    if (char === '\\' && quote !== "'") index++;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  if (quote !== '') return undefined;
  if (start !== -1) words.push(line.slice(start));
  return words;
}

/** A delimiter without its quotes and escapes; undefined if it is not one word. */
function unquote(written: string): string | undefined {
  if (PLAIN_NAME.test(written)) return written;
  let name = '';
  let quote = '';
  for (let index = 0; index < written.length; index++) {
    const char = written.charAt(index);
    if (quote === '' && BLANK.test(char)) return undefined;
    if (char === '\\' && quote !== "'") name += written.charAt(++index);
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else name += char;
  }
  return quote === '' ? name : undefined;
}
