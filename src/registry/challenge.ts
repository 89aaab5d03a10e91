/** `WWW-Authenticate` into challenges. Source: RFC 9110 section 11.6.1. One pass over the characters: hostile headers cost linear time. */

export interface Challenge {
  /** Lower-case, such as `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Longest header that is looked at. */
const HEADER_MAX = 16 * 1024;
const CHALLENGES_MAX = 16;

/** Every challenge of the header's values, in order. What breaks the grammar ends the list; what came before it counts. */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const values = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return values.flatMap((value) => parseValue(value.slice(0, HEADER_MAX))).slice(0, CHALLENGES_MAX);
}

interface Cursor {
  readonly text: string;
  at: number;
}

function parseValue(text: string): Challenge[] {
  const cursor: Cursor = { text, at: 0 };
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  for (;;) {
    skipSeparators(cursor);
    const word = readToken(cursor);
    if (word === '') return challenges;
    const parameter = readParameterValue(cursor);
    const current = challenges.at(-1);
    if (parameter === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
    else if (current === undefined) return challenges;
    else if (!current.parameters.has(word.toLowerCase())) current.parameters.set(word.toLowerCase(), parameter);
  }
}

/** The value after `=`, or undefined (and nothing read) where no `=` follows: then the word was a scheme. */
function readParameterValue(cursor: Cursor): string | undefined {
  const start = cursor.at;
  skipSpaces(cursor);
  if (cursor.text[cursor.at] !== '=') {
    cursor.at = start;
    return undefined;
  }
  cursor.at += 1;
  skipSpaces(cursor);
  return cursor.text[cursor.at] === '"' ? readQuoted(cursor) : readToken(cursor);
}

function readQuoted(cursor: Cursor): string {
  const parts: string[] = [];
  cursor.at += 1;
  while (cursor.at < cursor.text.length) {
    const char = cursor.text.charAt(cursor.at);
    cursor.at += 1;
    if (char === '"') break;
    if (char !== '\\') parts.push(char);
    else {
      parts.push(cursor.text.charAt(cursor.at));
      cursor.at += 1;
    }
  }
  return parts.join('');
}

function readToken(cursor: Cursor): string {
  const start = cursor.at;
  while (cursor.at < cursor.text.length && !'=," \t'.includes(cursor.text.charAt(cursor.at))) cursor.at += 1;
  return cursor.text.slice(start, cursor.at);
}

function skipSpaces(cursor: Cursor): void {
  while (cursor.text[cursor.at] === ' ' || cursor.text[cursor.at] === '\t') cursor.at += 1;
}

function skipSeparators(cursor: Cursor): void {
  while (cursor.at < cursor.text.length && ', \t'.includes(cursor.text.charAt(cursor.at))) cursor.at += 1;
}
