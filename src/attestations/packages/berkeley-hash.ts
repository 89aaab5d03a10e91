/**
 * Values of a hash in a Berkeley DB, in the order of its pages: where rpm kept its headers until 2020. Source: Berkeley DB 5.3, the layout of its pages as
 * db_page.h describes it; compared with what db5.3_load writes.
 */
import { byteBudget, RecordError, type RecordFile } from './record-file.ts';

const MAGIC = 0x06_15_61;
const [HASH_UNSORTED, OVERFLOW, HASH] = [2, 7, 13];
const [INLINE, OFF_PAGE] = [1, 3];
const HEADER_BYTES = 26;
const PAGES_MAX = 1 << 21;

interface Database {
  readonly file: RecordFile;
  readonly pageSize: number;
  readonly pages: number;
  readonly isLittleEndian: boolean;
  readonly spend: (bytes: number) => void;
}

/** Throws RecordError. */
export function* berkeleyValues(file: RecordFile): Generator<Buffer> {
  const database = openDatabase(file);
  for (let number = 1; number < database.pages; number++) {
    const page = pageAt(database, number);
    if (typeOf(page) === HASH || typeOf(page) === HASH_UNSORTED) yield* valuesOf(database, page);
  }
}

function openDatabase(file: RecordFile): Database {
  const header = file.at(0, 72);
  const isLittleEndian = header.readUInt32LE(12) === MAGIC;
  if (!isLittleEndian && header.readUInt32BE(12) !== MAGIC) throw new RecordError('it is no hash of Berkeley DB');
  const number = (place: number): number => (isLittleEndian ? header.readUInt32LE(place) : header.readUInt32BE(place));
  const pageSize = number(20);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) throw new RecordError('its page size is none');
  if (header[24] !== 0) throw new RecordError('it is encrypted');
  const pages = Math.min(PAGES_MAX, Math.floor(file.size / pageSize), number(32) + 1);
  return { file, pageSize, pages, isLittleEndian, spend: byteBudget(file.size) };
}

/** Keys and values take turns, from the end of the page down. */
function* valuesOf(database: Database, page: Buffer): Generator<Buffer> {
  const entries = uint16(database, page, 20);
  if (HEADER_BYTES + entries * 2 > page.length) throw new RecordError('a page has too many entries');
  const placeOf = (entry: number): number => uint16(database, page, HEADER_BYTES + entry * 2);
  for (let entry = 1; entry < entries; entry += 2) {
    const [start, end] = [placeOf(entry), placeOf(entry - 1)];
    if (start >= end || end > page.length) throw new RecordError('an entry leaves its page');
    const item = page.subarray(start, end);
    if (item[0] === INLINE) {
      database.spend(item.length);
      yield item.subarray(1);
    } else if (item[0] === OFF_PAGE && item.length >= 12) {
      yield chainAt(database, { first: uint32(database, item, 4), length: uint32(database, item, 8) });
    }
  }
}

function chainAt(database: Database, { first, length }: { first: number; length: number }): Buffer {
  database.spend(length);
  const value = Buffer.alloc(length);
  let at = 0;
  for (let number = first; at < length; ) {
    const page = pageAt(database, number);
    const bytes = uint16(database, page, 22);
    // A page without bytes could lead to itself for ever.
    if (typeOf(page) !== OVERFLOW || bytes === 0 || HEADER_BYTES + bytes > page.length) throw new RecordError('a chain of pages is broken');
    at += page.copy(value, at, HEADER_BYTES, HEADER_BYTES + bytes);
    number = uint32(database, page, 16);
  }
  return value;
}

function pageAt({ file, pageSize, pages }: Database, number: number): Buffer {
  if (number < 1 || number >= pages) throw new RecordError('a page is not in the file');
  return file.at(number * pageSize, pageSize);
}

function typeOf(page: Buffer): number | undefined {
  return page[25];
}

function uint16({ isLittleEndian }: Database, bytes: Buffer, place: number): number {
  return isLittleEndian ? bytes.readUInt16LE(place) : bytes.readUInt16BE(place);
}

function uint32({ isLittleEndian }: Database, bytes: Buffer, place: number): number {
  return isLittleEndian ? bytes.readUInt32LE(place) : bytes.readUInt32BE(place);
}
