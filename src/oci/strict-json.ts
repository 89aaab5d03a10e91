/**
 * JSON of foreign documents, read so that no two readers can disagree about it: I-JSON (RFC 7493), as the OCI
 * image-spec's "considerations.md" asks for, with bounds.
 */
import { TsbuildError } from '../errors.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
/** Has no prototype: a key `__proto__` is a key like any other. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

const DEPTH_MAX = 64;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:([eE])[+-]?[0-9]+)?/y;
const LITERALS: readonly (readonly [string, JsonValue])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/** Where the reader stands. `subject` names the document in messages. */
interface Cursor {
  readonly text: string;
  readonly subject: string;
  at: number;
}

/**
 * Reads one JSON text. Throws IMAGE_INVALID for what RFC 8259 forbids and, beyond it, for invalid UTF-8, a byte order
 * mark, a repeated name, a lone surrogate, an integer past 2^53, and nesting deeper than 64. Bounding the size of
 * `bytes` is the caller's.
 */
export function parseStrictJson(bytes: Uint8Array, subject: string): JsonValue {
  const cursor: Cursor = { text: decode(bytes, subject), subject, at: 0 };
  skipSpace(cursor);
  const value = readValue(cursor, 0);
  skipSpace(cursor);
  if (cursor.at < cursor.text.length) fail(cursor, 'something follows the value');
  return value;
}

function decode(bytes: Uint8Array, subject: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TsbuildError('IMAGE_INVALID', `Cannot read ${subject}: not UTF-8`, { cause });
  }
}

function readValue(cursor: Cursor, depth: number): JsonValue {
  if (depth > DEPTH_MAX) fail(cursor, `nested deeper than ${DEPTH_MAX}`);
  const char = cursor.text[cursor.at];
  if (char === '{') return readObject(cursor, depth);
  if (char === '[') return readArray(cursor, depth);
  if (char === '"') return readString(cursor);
  const literal = LITERALS.find(([word]) => cursor.text.startsWith(word, cursor.at));
  if (literal === undefined) return readNumber(cursor);
  cursor.at += literal[0].length;
  return literal[1];
}

function readObject(cursor: Cursor, depth: number): JsonObject {
  const object: Record<string, JsonValue> = Object.create(null);
  cursor.at++;
  skipSpace(cursor);
  if (take(cursor, '}')) return object;
  for (;;) {
    if (cursor.text[cursor.at] !== '"') fail(cursor, 'a name is expected');
    const name = readString(cursor);
    if (name in object) fail(cursor, `the name ${JSON.stringify(name.slice(0, 100))} is given twice`);
    skipSpace(cursor);
    if (!take(cursor, ':')) fail(cursor, 'a colon is expected');
    skipSpace(cursor);
    object[name] = readValue(cursor, depth + 1);
    skipSpace(cursor);
    if (take(cursor, '}')) return object;
    if (!take(cursor, ',')) fail(cursor, 'a comma or } is expected');
    skipSpace(cursor);
  }
}

function readArray(cursor: Cursor, depth: number): readonly JsonValue[] {
  const items: JsonValue[] = [];
  cursor.at++;
  skipSpace(cursor);
  if (take(cursor, ']')) return items;
  for (;;) {
    items.push(readValue(cursor, depth + 1));
    skipSpace(cursor);
    if (take(cursor, ']')) return items;
    if (!take(cursor, ',')) fail(cursor, 'a comma or ] is expected');
    skipSpace(cursor);
  }
}

/** Finds the closing quote in one linear walk (a regular expression would recurse on long strings), then lets JSON.parse judge. */
function readString(cursor: Cursor): string {
  let end = cursor.at + 1;
  for (let code = cursor.text.charCodeAt(end); code !== 0x22; code = cursor.text.charCodeAt(end)) {
    if (end >= cursor.text.length) fail(cursor, 'a string does not end');
    end += code === 0x5c ? 2 : 1;
  }
  const token = cursor.text.slice(cursor.at, end + 1);
  const value = unquote(cursor, token);
  if (/\p{Surrogate}/u.test(value)) fail(cursor, 'a string holds a lone surrogate');
  cursor.at = end + 1;
  return value;
}

function unquote(cursor: Cursor, token: string): string {
  try {
    return JSON.parse(token) as string;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(cursor, 'a string holds a control character or a bad escape');
  }
}

function readNumber(cursor: Cursor): number {
  NUMBER.lastIndex = cursor.at;
  const match = NUMBER.exec(cursor.text);
  if (match === null) return fail(cursor, 'a value is expected');
  const value = Number(match[0]);
  const isInteger = match[1] === undefined && match[2] === undefined;
  if (isInteger ? !Number.isSafeInteger(value) : !Number.isFinite(value)) fail(cursor, 'a number is too large');
  cursor.at += match[0].length;
  return value;
}

function skipSpace(cursor: Cursor): void {
  for (let code = cursor.text.charCodeAt(cursor.at); code === 0x20 || (code >= 0x09 && code <= 0x0d); ) {
    if (code === 0x0b || code === 0x0c) return;
    code = cursor.text.charCodeAt(++cursor.at);
  }
}

function take(cursor: Cursor, char: string): boolean {
  if (cursor.text[cursor.at] !== char) return false;
  cursor.at++;
  return true;
}

function fail(cursor: Cursor, reason: string): never {
  throw new TsbuildError('IMAGE_INVALID', `Cannot read ${cursor.subject}: ${reason} at character ${cursor.at}`);
}
