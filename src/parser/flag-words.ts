/** The words before an instruction's arguments that begin with `--`. */
import { isBlank } from './words.ts';

const NONE: readonly string[] = Object.freeze([]);

/** Takes the flags off the front. Quotes and backslash escapes are resolved in them; a bare `--` ends them. */
export function extractFlags(text: string): { readonly flags: readonly string[]; readonly rest: string } {
  let at = skipBlanks(text, 0);
  if (!text.startsWith('--', at)) return { flags: NONE, rest: text.slice(at).trim() };
  const flags: string[] = [];
  while (text.startsWith('--', at)) {
    const { word, end } = readFlagWord(text, at);
    at = skipBlanks(text, end);
    if (word === '--') break;
    flags.push(word);
  }
  return { flags, rest: text.slice(at).trim() };
}

/** A word with its quotes and escapes resolved; the escape is a backslash whatever the directive says. */
function readFlagWord(text: string, start: number): { word: string; end: number } {
  const parts: string[] = [];
  let quote = '';
  let from = start;
  let at = start;
  for (; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote === '' && isBlank(char)) break;
    const opens = quote === '' && (char === '"' || char === "'");
    if (!opens && char !== quote && char !== '\\') continue;
    parts.push(text.slice(from, at));
    if (char === '\\') at++;
    else quote = opens ? char : '';
    from = char === '\\' ? at : at + 1;
  }
  parts.push(text.slice(from, at));
  return { word: parts.join(''), end: Math.min(at, text.length) };
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (at < text.length && isBlank(text.charAt(at))) at++;
  return at;
}
