/** Extended header records, `length key=value\n` (POSIX.1-2017 pax, "pax Extended Header"). Values are raw bytes. */
import { TsbuildError } from '../errors.ts';

/** As read. Keys are byte strings, in the order they were set. */
export type PaxRecords = Map<string, Buffer>;

const LENGTH_DIGITS_MAX = 8;
/** A NUL here would end the name early in one reader and not in another. */
const KEYS_OF_NAMES = new Set(['path', 'linkpath', 'uname', 'gname']);

/** The records, whose values are byte strings, sorted by key as Go's archive/tar writes them: a byte string itself. */
export function encodePaxRecords(records: ReadonlyMap<string, string>): string {
  if (records.size === 1) for (const [key, value] of records) return encodeRecord(key, value);
  return [...records.keys()]
    .sort()
    .map((key) => encodeRecord(key, records.get(key) ?? ''))
    .join('');
}

/** Reads a whole extended header; of a key that comes twice the last counts. Throws LAYER_INVALID. */
export function decodePaxRecords(bytes: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  for (let at = 0; at < bytes.length; ) at = decodeRecord(bytes, at, records);
  return records;
}

function encodeRecord(key: string, value: string): string {
  if (key.includes('=') || key.includes('\0') || key.includes('\n')) {
    throw new TsbuildError(
      'LAYER_INVALID',
      `Cannot write the extended attribute ${JSON.stringify(key)} to a layer: tar has no form for its name`,
    );
  }
  const rest = key.length + value.length + 3; // the blank, `=` and the newline
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function decodeRecord(bytes: Buffer, start: number, into: PaxRecords): number {
  const blank = bytes.indexOf(0x20, start);
  const digits = bytes.toString('latin1', start, blank);
  if (blank < 0 || blank - start > LENGTH_DIGITS_MAX || !/^[1-9][0-9]*$/.test(digits)) throw broken('a length is no number');
  const end = start + Number(digits);
  if (end > bytes.length || end <= blank + 2 || bytes[end - 1] !== 0x0a) throw broken('a length does not fit its record');
  const equals = bytes.indexOf(0x3d, blank);
  if (equals < 0 || equals >= end || equals === blank + 1) throw broken('a record has no key');
  const key = bytes.toString('latin1', blank + 1, equals);
  const value = bytes.subarray(equals + 1, end - 1);
  if (key.includes('\0') || (KEYS_OF_NAMES.has(key) && value.includes(0))) throw broken(`${JSON.stringify(key)} contains a NUL byte`);
  into.set(key, Buffer.from(value));
  return end;
}

function broken(reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a PAX header: ${reason}`);
}
