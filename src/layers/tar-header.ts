/**
 * Header blocks of an entry: ustar where every value fits, else a PAX header before it (POSIX.1-2017 pax). The choice and the
 * bytes are those of Go's archive/tar, so that a layer looks like other builders' layers.
 */
import type { ByteString } from '../tree/byte-string.ts';
import { encodePaxRecords, type PaxRecords } from './pax-records.ts';

export const BLOCK_BYTES = 512;

/** What a header says; names are raw bytes, a directory's ends with a slash. */
export interface TarHeader {
  readonly path: ByteString;
  readonly typeFlag: '0' | '1' | '2' | '3' | '4' | '5' | '6';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly linkPath: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const ID_MAX = 0o7777777;
const SIZE_MAX = 0o77777777777;
const NANOSECONDS = 1_000_000_000n;

/** One block, or the blocks of a PAX header and then it. */
export function encodeTarHeader(header: TarHeader): Buffer {
  const records = paxRecordsOf(header);
  const split = splitPath(header.path);
  if (records.size === 0 || (records.size === 1 && records.has('path') && split !== undefined)) {
    return encodeBlock(header, split ?? { prefix: '', name: header.path });
  }
  const body = encodePaxRecords(records);
  const blocks = Math.ceil(body.length / BLOCK_BYTES);
  const padding = Buffer.alloc(blocks * BLOCK_BYTES - body.length);
  const name = ascii(header.path).slice(0, NAME_BYTES);
  return Buffer.concat([encodePaxBlock(header.path, body.length), body, padding, encodeBlock(header, { prefix: '', name })]);
}

function paxRecordsOf(header: TarHeader): PaxRecords {
  const records: PaxRecords = new Map();
  const add = (key: string, value: string) => records.set(key, Buffer.from(value, 'latin1'));
  if (header.path.length > NAME_BYTES || !isAscii(header.path)) add('path', header.path);
  if (header.linkPath.length > NAME_BYTES || !isAscii(header.linkPath)) add('linkpath', header.linkPath);
  if (header.uid > ID_MAX) add('uid', String(header.uid));
  if (header.gid > ID_MAX) add('gid', String(header.gid));
  if (header.size > SIZE_MAX) add('size', String(header.size));
  if (!isUstarTime(header.mtimeNs)) add('mtime', formatTime(header.mtimeNs));
  for (const [key, value] of header.xattrs) records.set(`SCHILY.xattr.${key}`, value);
  return records;
}

/** ustar's prefix and name around the last slash that fits both fields; undefined where none does, or none is needed. */
function splitPath(path: ByteString): { prefix: string; name: string } | undefined {
  if (path.length <= NAME_BYTES || !isAscii(path)) return undefined;
  const end = path.length > PREFIX_BYTES + 1 ? PREFIX_BYTES + 1 : path.endsWith('/') ? path.length - 1 : path.length;
  const slash = path.slice(0, end).lastIndexOf('/');
  const rest = path.length - slash - 1;
  if (slash <= 0 || rest > NAME_BYTES || rest === 0) return undefined;
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}

function encodeBlock(header: TarHeader, place: { prefix: string; name: string }): Buffer {
  const block = startBlock(place.name, header.typeFlag);
  const seconds = isUstarTime(header.mtimeNs) ? Number(header.mtimeNs / NANOSECONDS) : wholeSeconds(header.mtimeNs);
  writeOctal(block, header.mode, { at: 100, width: 8 });
  writeOctal(block, header.uid > ID_MAX ? 0 : header.uid, { at: 108, width: 8 });
  writeOctal(block, header.gid > ID_MAX ? 0 : header.gid, { at: 116, width: 8 });
  writeOctal(block, header.size > SIZE_MAX ? 0 : header.size, { at: 124, width: 12 });
  writeOctal(block, seconds, { at: 136, width: 12 });
  block.write(ascii(header.linkPath).slice(0, NAME_BYTES), 157, 'latin1');
  writeOctal(block, header.major, { at: 329, width: 8 });
  writeOctal(block, header.minor, { at: 337, width: 8 });
  block.write(place.prefix, 345, 'latin1');
  return finishBlock(block);
}

/** The PAX header's own entry: its name is never used by a reader, and made from the path alone. */
function encodePaxBlock(path: ByteString, size: number): Buffer {
  const clean = path.replace(/\/+$/, '');
  const slash = clean.lastIndexOf('/') + 1;
  const name = ascii(`${clean.slice(0, slash)}PaxHeaders.0/${clean.slice(slash)}`).slice(0, NAME_BYTES);
  const block = startBlock(name.replace(/\/+$/, ''), 'x');
  for (const at of [100, 108, 116]) writeOctal(block, 0, { at, width: 8 });
  writeOctal(block, size, { at: 124, width: 12 });
  writeOctal(block, 0, { at: 136, width: 12 });
  return finishBlock(block);
}

function startBlock(name: string, typeFlag: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0, NAME_BYTES, 'latin1');
  block.write(typeFlag, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  return block;
}

/** The sum of all bytes with the sum's own field as blanks: six digits, NUL, blank. */
function finishBlock(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let i = 0; i < block.length; i++) sum += block[i] ?? 0;
  block.write(`${sum.toString(8).padStart(6, '0')}\x00 `, 148, 'latin1');
  return block;
}

function writeOctal(block: Buffer, value: number, field: { at: number; width: number }): void {
  block.write(value.toString(8).padStart(field.width - 1, '0'), field.at, 'latin1');
}

function isUstarTime(mtimeNs: bigint): boolean {
  return mtimeNs >= 0n && mtimeNs % NANOSECONDS === 0n && mtimeNs / NANOSECONDS <= BigInt(SIZE_MAX);
}

/** For readers that do not know PAX: the second within which the time lies, or 0. */
function wholeSeconds(mtimeNs: bigint): number {
  const seconds = mtimeNs / NANOSECONDS;
  return mtimeNs < 0n || seconds > BigInt(SIZE_MAX) ? 0 : Number(seconds);
}

/** Decimal seconds with as many places as needed: `1.000000001`, `-0.5`. */
function formatTime(mtimeNs: bigint): string {
  const size = mtimeNs < 0n ? -mtimeNs : mtimeNs;
  const fraction = (size % NANOSECONDS).toString().padStart(9, '0').replace(/0+$/, '');
  return `${mtimeNs < 0n ? '-' : ''}${size / NANOSECONDS}${fraction === '' ? '' : `.${fraction}`}`;
}

function isAscii(text: string): boolean {
  return !/[^\x01-\x7f]/.test(text);
}

function ascii(text: string): string {
  return text.replace(/[^\x01-\x7f]/g, '');
}
