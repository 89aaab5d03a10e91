/** The fields of a `RUN --mount` by their names: which keys there are, for which types, and what values they take. */
import { TsbuildError } from '../errors.ts';
import { parseSize } from '../text/quantities.ts';
import { didYouMean } from './suggest.ts';

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const SHARINGS = ['shared', 'private', 'locked'] as const;
type Type = (typeof TYPES)[number];

/** Fields that were given; what depends on the type is checked. */
export interface MountFields {
  readonly type: Type;
  readonly from?: string;
  readonly source?: string;
  readonly target?: string;
  readonly id?: string;
  readonly env?: string;
  readonly access?: 'read-only' | 'read-write';
  readonly required?: boolean;
  readonly sharing?: (typeof SHARINGS)[number];
  readonly bytes?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A value that is not known yet is not judged. */
export type FieldValue = string | undefined | { readonly unknown: true };

type Values = { -readonly [Name in keyof MountFields]?: MountFields[Name] };

/** What a key is called in `MountFields`, its types (all where none are named), and how its value is read. */
interface Key {
  readonly field: keyof MountFields;
  readonly types?: readonly Type[];
  /** Takes '' for a key without a value, where that is allowed. */
  readonly read: (text: string) => MountFields[keyof MountFields] | typeof INVALID;
  readonly bare?: boolean;
}

const INVALID = Symbol('invalid');
const FILES: readonly Type[] = ['cache', 'secret', 'ssh'];
const same = (text: string): string => text;
const source: Key = { field: 'source', read: same };
const target: Key = { field: 'target', read: same };
const readOnly: Key = { field: 'access', read: accessOf('read-only', 'read-write'), bare: true };
const readWrite: Key = { field: 'access', read: accessOf('read-write', 'read-only'), bare: true };

const KEYS: ReadonlyMap<string, Key> = new Map<string, Key>([
  ['type', { field: 'type', read: oneOf(TYPES) }],
  ['from', { field: 'from', types: ['bind', 'cache', 'tmpfs'], read: (text) => (text === '' ? INVALID : text) }],
  ['source', source],
  ['src', source],
  ['target', target],
  ['dst', target],
  ['destination', target],
  ['readonly', readOnly],
  ['ro', readOnly],
  ['readwrite', readWrite],
  ['rw', readWrite],
  ['id', { field: 'id', read: same }],
  ['env', { field: 'env', read: same }],
  ['required', { field: 'required', types: ['secret', 'ssh'], read: parseBoolean, bare: true }],
  ['size', { field: 'bytes', types: ['tmpfs'], read: (text) => parseSize(text) ?? INVALID }],
  ['sharing', { field: 'sharing', types: ['cache'], read: oneOf(SHARINGS) }],
  ['mode', { field: 'mode', types: FILES, read: (text) => numberIn(text, 8) }],
  ['uid', { field: 'uid', types: FILES, read: (text) => numberIn(text, 10) }],
  ['gid', { field: 'gid', types: FILES, read: (text) => numberIn(text, 10) }],
]);

/** Checks and reads fields; later ones win. Throws DOCKERFILE_SYNTAX without a location. */
export function mountFields(fields: readonly (readonly [key: string, value: FieldValue])[]): MountFields {
  const values: Values = { type: 'bind' };
  const found: (readonly [string, Key])[] = [];
  let isTypeKnown = true;
  for (const [name, value] of fields) {
    const key = KEYS.get(name.toLowerCase()) ?? unknownKey(name, value);
    found.push([name, key]);
    if (typeof value === 'object') isTypeKnown &&= key.field !== 'type';
    else Object.assign(values, { [key.field]: readValue(name, key, value) });
  }
  const { type = 'bind' } = values;
  for (const [name, { types }] of isTypeKnown ? found : []) {
    if (types === undefined || types.includes(type)) continue;
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${name.toLowerCase()} in --mount=type=${type}: it is for ${types.join(', ')}`);
  }
  return { ...values, type };
}

function readValue(name: string, key: Key, value: string | undefined): MountFields[keyof MountFields] {
  if (value === undefined && key.bare !== true) {
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${quote(name)} in --mount: it has no value`, { hint: `Write ${name}=VALUE.` });
  }
  const read = key.read(value ?? 'true');
  if (read !== INVALID) return read;
  const guess = key.field === 'type' ? didYouMean(value ?? '', TYPES) : key.field === 'sharing' ? didYouMean(value ?? '', SHARINGS) : '';
  throw new TsbuildError(
    'DOCKERFILE_SYNTAX',
    `Cannot use ${quote(value ?? '')} as ${name.toLowerCase()} in --mount: ${WANTED[key.field] ?? 'it is empty'}${guess}`,
  );
}

const WANTED: Partial<Record<keyof MountFields, string>> = {
  type: `not one of ${TYPES.join(', ')}`,
  sharing: `not one of ${SHARINGS.join(', ')}`,
  access: 'not true or false',
  required: 'not true or false',
  bytes: 'not a size such as 64m',
  mode: 'not an octal mode up to 7777',
  uid: 'not a number (names are not looked up there)',
  gid: 'not a number (names are not looked up there)',
};

function unknownKey(name: string, value: FieldValue): never {
  const known = [...KEYS.keys()];
  const what = name === '' && value === undefined ? 'an empty field' : quote(name);
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${what} in --mount: no such key${didYouMean(name, known)}`, {
    hint: `Keys are ${known.join(', ')}.`,
  });
}

/** `type=cache,"target=/a,b",ro` → pairs; undefined for a key without `=`. A field may be quoted as a whole, a quote in it is doubled. */
export function splitMountFields(text: string): [key: string, value: string | undefined][] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length; ) {
    const isQuoted = text.charAt(at) === '"';
    const end = isQuoted ? closingQuote(text, at) + 1 : commaFrom(text, at);
    const field = isQuoted ? text.slice(at + 1, end - 1).replaceAll('""', '"') : text.slice(at, end);
    if (end < text.length && text.charAt(end) !== ',') throw badCsv(text);
    if (!isQuoted && field.includes('"')) throw badCsv(text);
    fields.push(field);
    at = end + 1;
  }
  return fields.map((field) => {
    const equals = field.indexOf('=');
    return equals === -1 ? [field, undefined] : [field.slice(0, equals), field.slice(equals + 1)];
  });
}

function closingQuote(text: string, open: number): number {
  let at = open + 1;
  for (; at < text.length; at++) {
    if (text.charAt(at) !== '"') continue;
    if (text.charAt(at + 1) !== '"') return at;
    at++;
  }
  throw badCsv(text);
}

function commaFrom(text: string, at: number): number {
  const comma = text.indexOf(',', at);
  return comma === -1 ? text.length : comma;
}

function badCsv(text: string): TsbuildError {
  return new TsbuildError('DOCKERFILE_SYNTAX', `Cannot read ${quote(text)} as a mount: a quote in the wrong place`, {
    hint: 'A field with a comma is quoted as a whole: --mount=type=bind,"target=/a,b".',
  });
}

function oneOf<T extends string>(values: readonly T[]): (text: string) => T | typeof INVALID {
  return (text) => values.find((value) => value === text.toLowerCase()) ?? INVALID;
}

/** As Go's strconv.ParseBool. */
function parseBoolean(text: string): boolean | typeof INVALID {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : INVALID;
}

function accessOf(yes: 'read-only' | 'read-write', no: 'read-only' | 'read-write'): Key['read'] {
  return (text) => {
    const value = parseBoolean(text);
    return value === INVALID ? INVALID : value ? yes : no;
  };
}

function numberIn(text: string, base: 8 | 10): number | typeof INVALID {
  if (!(base === 8 ? /^[0-7]{1,12}$/ : /^\d{1,10}$/).test(text)) return INVALID;
  const number = Number.parseInt(text, base);
  return number <= (base === 8 ? 0o7777 : 2 ** 31 - 1) ? number : INVALID;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
