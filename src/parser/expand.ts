/** Variables, quotes and escapes of a word. Source: Dockerfile reference "Environment replacement"; the rules of its modifiers are POSIX's and bash's. */
import { TsbuildError } from '../errors.ts';
import { findGlob, type Glob, matchAt, parseGlob, reverseGlob } from './glob.ts';
import type { Escape, Word } from './instruction.ts';
import type { SourcePart } from './location.ts';

/** The value of a variable; undefined if it is not set. */
export type Lookup = (name: string) => string | undefined;

export interface ExpandOptions {
  readonly escape: Escape;
  /** `literal`: quotes are characters like any other, as in the body of a here-document. */
  readonly quotes?: 'literal' | undefined;
  /** Called for a plain `$name` or `${name}` that is not set: it becomes nothing. */
  readonly onUndefined?: ((name: string) => void) | undefined;
}

/** A word that cannot be expanded, and the part of it that is at fault, for `locate`. */
export class ExpansionError extends TsbuildError {
  readonly part: SourcePart;

  constructor(message: string, { part, hint }: { readonly part: SourcePart; readonly hint?: string }) {
    super('EXPANSION', message, { hint });
    this.part = part;
  }
}

/** Longest result, in UTF-16 units. */
const RESULT_MAX = 1024 * 1024;
/** Deepest nesting of `${...}`. */
const DEPTH_MAX = 100;
/** Work for one word: characters copied and compared. */
const WORK_MAX = 64 * 1024 * 1024;

/** The value of a word: variables replaced, quotes and escapes resolved. One word stays one. Throws EXPANSION. */
export function expandWord(word: Word, lookup: Lookup, options: ExpandOptions): string {
  return run(word, lookup, options).text;
}

/** As `expandWord`, but blanks that are neither quoted nor escaped separate words, those in variables' values too: for EXPOSE. */
export function expandWords(word: Word, lookup: Lookup, options: ExpandOptions): string[] {
  return run(word, lookup, options).words.filter((part) => part !== '');
}

/** What has been read so far: the text, and the same cut into words. */
interface Output {
  text: string;
  readonly words: string[];
}

interface Reader {
  readonly word: string;
  readonly lookup: Lookup;
  readonly options: ExpandOptions;
  at: number;
  /** Where the innermost `${` that is open begins. */
  start: number;
  depth: number;
  work: number;
}

/** `keep`: escape characters stay in the text; in a pattern a backslash is then read again. */
type Escapes = 'resolve' | 'keep';

function run(word: Word, lookup: Lookup, options: ExpandOptions): Output {
  const reader: Reader = { word, lookup, options, at: 0, start: 0, depth: 0, work: 0 };
  return readUntil(reader, { stop: '', escapes: 'resolve' });
}

/** Up to the stop character, which is consumed, or to the end where `stop` is empty. */
function readUntil(reader: Reader, { stop, escapes }: { stop: Stop; escapes: Escapes }): Output {
  const out: Output = { text: '', words: [''] };
  const { word } = reader;
  const plain = plainText(reader.options.escape, stop);
  const keeps = escapes === 'keep';
  const quotes = reader.options.quotes !== 'literal';
  while (reader.at < word.length) {
    const char = word.charAt(reader.at);
    if (char === stop) {
      reader.at++;
      return out;
    }
    if (quotes && char === "'") add(reader, out, readSingleQuoted(reader));
    else if (quotes && char === '"') add(reader, out, readDoubleQuoted(reader, escapes));
    else if (char === '$') addSplit(reader, out, readDollar(reader));
    else if (char === reader.options.escape) {
      const next = word.charAt(reader.at + 1);
      reader.at += 2;
      add(reader, out, keeps ? char + next : next);
    } else {
      plain.lastIndex = reader.at;
      const text = plain.exec(word)?.[0] ?? char;
      reader.at += text.length;
      addSplit(reader, out, text);
    }
  }
  if (stop !== '') throw fault(reader, stop === '}' ? 'there is no "}" that ends a "${"' : 'there is no second "/" in a "${"');
  return out;
}

/** Characters that stand for themselves. */
function plainText(escapeChar: Escape, stop: Stop): RegExp {
  return escapeChar === '`' ? PLAIN_BACKTICK[stop] : PLAIN_BACKSLASH[stop];
}

type Stop = '' | '}' | '/';
const PLAIN_BACKSLASH: Readonly<Record<Stop, RegExp>> = { '': /[^'"$\\]+/y, '}': /[^'"$\\}]+/y, '/': /[^'"$\\/]+/y };
const PLAIN_BACKTICK: Readonly<Record<Stop, RegExp>> = { '': /[^'"$`]+/y, '}': /[^'"$`}]+/y, '/': /[^'"$`/]+/y };

function add(reader: Reader, out: Output, text: string): void {
  checkSize(reader, out.text.length + text.length);
  spend(reader, text.length + 1);
  out.text += text;
  out.words[out.words.length - 1] += text;
}

/** As `add`, but blanks in the text end a word. */
function addSplit(reader: Reader, out: Output, text: string): void {
  checkSize(reader, out.text.length + text.length);
  spend(reader, text.length + 1);
  out.text += text;
  // Only the outermost level's words are read.
  if (reader.depth > 0) return;
  const [first = '', ...rest] = text.split(/\s+/);
  out.words[out.words.length - 1] += first;
  for (const part of rest) out.words.push(part);
}

/** Nothing is expanded or escaped. */
function readSingleQuoted(reader: Reader): string {
  const end = reader.word.indexOf("'", reader.at + 1);
  if (end === -1) throw fault(reader, 'a single quote is not closed', reader.at);
  const text = reader.word.slice(reader.at + 1, end);
  reader.at = end + 1;
  return text;
}

/** Variables are expanded; only `"`, `$` and the escape character can be escaped, other escapes stay as they are: twice, where escapes are kept. */
function readDoubleQuoted(reader: Reader, escapes: Escapes): string {
  const { word } = reader;
  const escapeChar = reader.options.escape;
  const start = reader.at;
  let text = '';
  reader.at++;
  let from = reader.at;
  while (reader.at < word.length) {
    const char = word.charAt(reader.at);
    const next = word.charAt(reader.at + 1);
    if (char === '"') {
      text += word.slice(from, reader.at);
      reader.at++;
      return text;
    }
    if (char === '$') {
      text += word.slice(from, reader.at);
      text += readDollar(reader);
      checkSize(reader, text.length);
      from = reader.at;
    } else if (char === escapeChar) {
      const isEscape = next === '"' || next === '$' || next === escapeChar;
      const written = escapes === 'keep' ? `${char}${isEscape ? '' : char}` : isEscape ? '' : char;
      text += word.slice(from, reader.at) + written;
      from = reader.at + 1;
      reader.at += isEscape ? 2 : 1;
    } else reader.at++;
  }
  throw fault(reader, 'a double quote is not closed', start);
}

/** `$name` or `${...}`; a `$` before anything else stands for itself. */
function readDollar(reader: Reader): string {
  const { at, start: outer } = reader;
  reader.at++;
  if (reader.word.charAt(reader.at) !== '{') {
    const name = readName(reader);
    return name === '' ? '$' : plainValue(reader, name);
  }
  reader.at++;
  reader.start = at;
  reader.depth++;
  if (reader.depth > DEPTH_MAX) throw fault(reader, `it nests deeper than ${DEPTH_MAX}`);
  const text = readBraces(reader);
  reader.depth--;
  reader.start = outer;
  return text;
}

/** After `${`. */
function readBraces(reader: Reader): string {
  const name = readName(reader);
  const modifier = reader.word.charAt(reader.at++);
  if (modifier === '') throw fault(reader, 'there is no "}" that ends a "${"');
  if (name === '') throw fault(reader, 'there is no name after "${"');
  switch (modifier) {
    case '}':
      return plainValue(reader, name);
    case '-':
    case '+':
    case '?':
      return readDefault(reader, name, { modifier, emptyIsUnset: false });
    case ':': {
      const second = reader.word.charAt(reader.at++);
      if (second === '-' || second === '+' || second === '?') return readDefault(reader, name, { modifier: second, emptyIsUnset: true });
      throw fault(reader, `there is no modifier ":${second}"`);
    }
    case '#':
    case '%':
      return readStrip(reader, name, modifier);
    case '/':
      return readReplace(reader, name);
    default:
      throw fault(reader, `there is no modifier "${modifier}"`);
  }
}

interface Default {
  readonly modifier: '-' | '+' | '?';
  readonly emptyIsUnset: boolean;
}

/** `${v-w}`, `${v+w}`, `${v?w}` and their forms with a colon. */
function readDefault(reader: Reader, name: string, { modifier, emptyIsUnset }: Default): string {
  const { text } = readUntil(reader, { stop: '}', escapes: 'resolve' });
  const value = look(reader, name);
  const isSet = value !== undefined && !(emptyIsUnset && value === '');
  if (modifier === '-') return isSet ? value : text;
  if (modifier === '+') return isSet ? text : '';
  if (isSet) return value;
  const reason = text === '' ? `is not allowed to be ${value === undefined ? 'unset' : 'empty'}` : text.slice(0, 1000);
  throw new ExpansionError(`Cannot expand ${name.slice(0, 80)}: ${reason}`, {
    part: { kind: 'piece', word: reader.word, start: reader.start, end: reader.at },
    hint: `Give it a value with --build-arg ${name.slice(0, 80)}=..., ARG or ENV.`,
  });
}

/** `${v#p}` and `${v%p}`; the sign twice, though it come from a variable, strips the longest match. */
function readStrip(reader: Reader, name: string, sign: '#' | '%'): string {
  const { text } = readUntil(reader, { stop: '}', escapes: 'keep' });
  const isTwice = text.startsWith(sign);
  const pattern = globOf(reader, isTwice ? text.slice(1) : text);
  const chars = Array.from(look(reader, name) ?? '');
  const forward = sign === '#';
  const length = matchAt(forward ? pattern : reverseGlob(pattern), forward ? chars : chars.toReversed(), {
    start: 0,
    reach: isTwice ? 'longest' : 'shortest',
    spend: (amount) => spend(reader, amount),
  });
  return (forward ? chars.slice(length ?? 0) : chars.slice(0, chars.length - (length ?? 0))).join('');
}

/** `${v/p/r}` and, with two slashes, all matches. An empty pattern is found everywhere; escapes stay in the replacement. */
function readReplace(reader: Reader, name: string): string {
  const isAll = reader.word.charAt(reader.at) === '/';
  if (isAll) reader.at++;
  const pattern = readUntil(reader, { stop: '/', escapes: 'keep' }).text;
  const replacement = readUntil(reader, { stop: '}', escapes: 'keep' }).text;
  const glob = globOf(reader, pattern);
  const chars = Array.from(look(reader, name) ?? '');
  let text = '';
  let end = 0;
  for (let at = 0; at <= chars.length; at = Math.max(end, at + 1)) {
    const found = findGlob(glob, chars, { start: at, spend: (amount) => spend(reader, amount) });
    if (found === undefined) break;
    text += chars.slice(end, found.at).join('');
    const match = chars.slice(found.at, found.at + found.length).join('');
    // Nothing is not found right after something.
    if (found.at === 0 || found.at + found.length > end) text += isAll ? fillTemplate(replacement, match) : replacement;
    checkSize(reader, text.length);
    spend(reader, replacement.length);
    end = found.at + found.length;
    if (!isAll) break;
  }
  return text + chars.slice(end).join('');
}

function globOf(reader: Reader, pattern: string): Glob {
  const glob = parseGlob(pattern);
  if (glob === undefined) throw fault(reader, 'in a pattern a backslash stands before *, ?, /, } or another backslash only');
  return glob;
}

/** Where all matches are replaced, `$0` in the replacement is the match, as Go's regexp.Expand has it; there are no other groups. */
function fillTemplate(template: string, match: string): string {
  return template.replace(/\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu, (all, plain?: string, braced?: string) => {
    if (all === '$$') return '$';
    return /^0+$/.test(plain ?? braced ?? '') ? match : '';
  });
}

/** Letters, digits and `_`; a number; or one of the shell's special parameters. Empty if none is here. */
function readName(reader: Reader): string {
  // Here and not above: V8 needs a millisecond for classes of Unicode.
  const pattern = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy;
  pattern.lastIndex = reader.at;
  const name = pattern.exec(reader.word)?.[0] ?? '';
  reader.at += name.length;
  return name;
}

function plainValue(reader: Reader, name: string): string {
  const value = look(reader, name);
  if (value === undefined) reader.options.onUndefined?.(name);
  return value ?? '';
}

function look(reader: Reader, name: string): string | undefined {
  const value = reader.lookup(name);
  spend(reader, (value?.length ?? 0) + 1);
  return value;
}

function spend(reader: Reader, amount: number): void {
  reader.work += amount;
  if (reader.work > WORK_MAX) throw fault(reader, 'it takes too much work');
}

function checkSize(reader: Reader, size: number): void {
  if (size > RESULT_MAX) throw fault(reader, 'the result is longer than 1 MiB');
}

/** The part at fault goes from `quote`, which does not end, or from the open `${` to its `}`. */
function fault(reader: Reader, reason: string, quote?: number): ExpansionError {
  const { word, start } = reader;
  const brace = quote === undefined ? word.indexOf('}', Math.max(start, reader.at - 1)) : -1;
  return new ExpansionError(`Cannot expand ${word.length > 200 ? `${word.slice(0, 200)}...` : word}: ${reason}`, {
    part: { kind: 'piece', word, start: quote ?? start, end: brace === -1 ? word.length : brace + 1 },
  });
}
