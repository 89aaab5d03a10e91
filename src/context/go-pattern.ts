/** The pattern language of Go's path.Match, read once into tokens. Source: the documentation of Go's path/filepath, Match. */
import { TsbuildError } from '../errors.ts';

export type PatternToken =
  | { readonly kind: 'literal'; readonly char: string }
  /** Any one character but `/`. */
  | { readonly kind: 'any' }
  /** Any number of characters but `/`. */
  | { readonly kind: 'star' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly CharRange[] };

/** Code points, both ends inclusive. */
export interface CharRange {
  readonly low: number;
  readonly high: number;
}

/** Tokens of `pattern`. Throws DOCKERFILE_SYNTAX for what Go calls ErrBadPattern; `where` says whose pattern it is. */
export function parseGoPattern(pattern: string, where: string): PatternToken[] {
  const chars = [...pattern];
  const tokens: PatternToken[] = [];
  let at = 0;
  while (at < chars.length) {
    const char = chars[at++] as string;
    if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '[') {
      const parsed = parseClass(chars, at);
      if (typeof parsed === 'string') throw badPattern(pattern, where, parsed);
      tokens.push(parsed.token);
      at = parsed.next;
    } else if (char === '\\') {
      const escaped = chars[at++];
      if (escaped === undefined) throw badPattern(pattern, where, 'a backslash at the end escapes nothing');
      tokens.push({ kind: 'literal', char: escaped });
    } else tokens.push({ kind: 'literal', char });
  }
  return tokens;
}

/** Whether `char` is in the class. */
export function inClass(token: PatternToken & { kind: 'class' }, char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  return token.ranges.some(({ low, high }) => low <= code && code <= high) !== token.negated;
}

/** `path` as Go's filepath.Clean leaves it: no `.`, no doubled or trailing slash, `..` resolved; '' becomes `.`. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/');
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.length > 0 && names.at(-1) !== '..') names.pop();
    else if (!rooted) names.push(name);
  }
  return (rooted ? '/' : '') + names.join('/') || '.';
}

/** The class that starts after `[`; a string is the reason why it is none. */
function parseClass(chars: readonly string[], start: number): { token: PatternToken; next: number } | string {
  let at = start;
  const negated = chars[at] === '^';
  if (negated) at++;
  const ranges: CharRange[] = [];
  while (ranges.length === 0 || chars[at] !== ']') {
    const low = classChar(chars, at);
    if (low === undefined) return at < chars.length ? 'a character class holds a bare ] or -' : 'a character class has no end';
    at = low.next;
    let high = low;
    if (chars[at] === '-') {
      const end = classChar(chars, at + 1);
      if (end === undefined) return 'a character range has no end';
      high = end;
      at = end.next;
    }
    ranges.push({ low: low.code, high: high.code });
  }
  return { token: { kind: 'class', negated, ranges }, next: at + 1 };
}

function classChar(chars: readonly string[], at: number): { code: number; next: number } | undefined {
  const first = chars[at];
  if (first === undefined || first === '-' || first === ']') return undefined;
  if (first !== '\\') return { code: first.codePointAt(0) ?? 0, next: at + 1 };
  const escaped = chars[at + 1];
  return escaped === undefined ? undefined : { code: escaped.codePointAt(0) ?? 0, next: at + 2 };
}

function badPattern(pattern: string, where: string, reason: string): TsbuildError {
  return new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use the pattern ${JSON.stringify(pattern.slice(0, 200))} of ${where}: ${reason}`, {
    hint: 'Put a backslash before a character that is meant literally.',
  });
}
