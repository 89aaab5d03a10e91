/**
 * Rows of one table of an SQLite database, read without SQLite, which older versions of Node lack. The file is a stranger's: every page is
 * visited once, every number is checked before it is used. Source: sqlite.org, "Database File Format".
 */
import { byteBudget, RecordError, type RecordFile } from './record-file.ts';

/** A value of a row: integers that are not exact numbers, and floats, are none that we need. */
export type SqliteValue = null | number | Buffer;

const MAGIC = 'SQLite format 3\0';
const PAGES_MAX = 1 << 20;
const COLUMNS_MAX = 64;
const INTERIOR = 5;
const LEAF = 13;

interface Database {
  readonly file: RecordFile;
  readonly pageSize: number;
  readonly usable: number;
  readonly pages: number;
  /** Each page is of one row at most, so that all rows are not longer than the file. */
  readonly spend: (bytes: number) => void;
}

/** In the order of row ids; nothing where there is no such table. Throws RecordError. */
export function* sqliteRows(file: RecordFile, table: string): Generator<SqliteValue[]> {
  const database = openDatabase(file);
  for (const [type, name, , root] of rowsBelow(database, 1)) {
    if (text(type) !== 'table' || text(name) !== table) continue;
    if (typeof root !== 'number') throw new RecordError('a table has no root');
    yield* rowsBelow(database, root);
    return;
  }
}

function openDatabase(file: RecordFile): Database {
  const header = file.at(0, 100);
  if (header.toString('latin1', 0, 16) !== MAGIC) throw new RecordError('it is no SQLite database');
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
  const usable = pageSize - header.readUInt8(20);
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0 || usable < 480) throw new RecordError('its page size is none');
  if (header.readUInt32BE(56) > 1) throw new RecordError('its texts are not UTF-8');
  const pages = Math.min(PAGES_MAX, Math.floor(file.size / pageSize));
  return { file, pageSize, usable, pages, spend: byteBudget(file.size) };
}

/** A b-tree of a table: interior pages lead to leaves. */
function* rowsBelow(database: Database, root: number): Generator<SqliteValue[]> {
  const visited = new Set<number>();
  const waiting = [root];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (visited.has(number)) throw new RecordError('a page is in its tree twice');
    visited.add(number);
    const page = readPage(database, number);
    const start = number === 1 ? 100 : 0;
    const kind = byteAt(page, start);
    const cells = page.readUInt16BE(start + 3);
    if (kind !== INTERIOR && kind !== LEAF) throw new RecordError('a page is none of a table');
    const first = start + (kind === LEAF ? 8 : 12);
    if (first + cells * 2 > page.length) throw new RecordError('a page has too many cells');
    const places = Array.from({ length: cells }, (_, i) => page.readUInt16BE(first + i * 2));
    if (kind === LEAF) for (const place of places) yield rowAt(database, page, place);
    else waiting.push(...[...places.map((place) => uint32At(page, place)), uint32At(page, start + 8)].reverse());
  }
}

function rowAt(database: Database, page: Buffer, place: number): SqliteValue[] {
  const length = varintAt(page, place);
  const rowId = varintAt(page, length.end);
  database.spend(length.value);
  return recordOf(payloadAt(database, page, { start: rowId.end, length: length.value }));
}

/** What does not fit into a page goes on in a chain of others. */
function payloadAt(database: Database, page: Buffer, { start, length }: { start: number; length: number }): Buffer {
  const { usable } = database;
  const inPageMax = usable - 35;
  const inPageMin = Math.floor(((usable - 12) * 32) / 255) - 23;
  const rest = inPageMin + ((length - inPageMin) % (usable - 4));
  const local = length <= inPageMax ? length : rest <= inPageMax ? rest : inPageMin;
  if (start + local > page.length) throw new RecordError('a row leaves its page');
  const payload = Buffer.alloc(length);
  page.copy(payload, 0, start, start + local);
  let next = local < length ? uint32At(page, start + local) : 0;
  for (let at = local; at < length; ) {
    // Each page of the chain brings some bytes, so that a loop ends with the row.
    const more = readPage(database, next);
    at += more.copy(payload, at, 4, Math.min(usable, 4 + length - at));
    next = uint32At(more, 0);
  }
  return payload;
}

/** A header of types, then the values. */
function recordOf(payload: Buffer): SqliteValue[] {
  const header = varintAt(payload, 0);
  const values: SqliteValue[] = [];
  let at = header.value;
  for (let place = header.end; place < header.value; ) {
    const type = varintAt(payload, place);
    place = type.end;
    const size = sizeOf(type.value);
    if (at + size > payload.length || values.length >= COLUMNS_MAX) throw new RecordError('a row is longer than it says');
    values.push(cellValue(type.value, payload.subarray(at, at + size)));
    at += size;
  }
  return values;
}

function sizeOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2);
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type] ?? 0;
}

function cellValue(type: number, bytes: Buffer): SqliteValue {
  if (type >= 12) return bytes;
  if (type === 8 || type === 9) return type - 8;
  return type >= 1 && type <= 5 ? bytes.readIntBE(0, bytes.length) : null;
}

/** One to nine bytes, seven bits each; more than a number can say is an error. */
function varintAt(bytes: Buffer, start: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const byte = byteAt(bytes, start + i);
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) break;
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  throw new RecordError('a number is too large');
}

function readPage({ file, pageSize, pages, usable }: Database, number: number): Buffer {
  if (number < 1 || number > pages) throw new RecordError('a page is not in the file');
  return file.at((number - 1) * pageSize, pageSize).subarray(0, usable);
}

function byteAt(bytes: Buffer, place: number): number {
  return bytes[place] ?? fail();
}

function uint32At(bytes: Buffer, place: number): number {
  return place + 4 <= bytes.length ? bytes.readUInt32BE(place) : fail();
}

function fail(): never {
  throw new RecordError('a number is beyond its page');
}

function text(value: SqliteValue | undefined): string | undefined {
  return Buffer.isBuffer(value) ? value.toString('utf8') : undefined;
}
