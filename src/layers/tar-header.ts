/**
 * Header blocks of an entry: ustar where every value fits, else a PAX header before it (POSIX.1-2017 pax). The choice and the
 * bytes are those of Go's archive/tar, so that a layer looks like other builders' layers.
 */
import type { ByteString } from '../tree/byte-string.ts';
import { encodePaxRecords } from './pax-records.ts';
import { BLOCK_BYTES, writeTarBlock } from './write-tar-block.ts';

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

/** Of the header written last; more of it where attributes need that. */
let memory = Buffer.alloc(8 * BLOCK_BYTES);

/** One block, or the blocks of a PAX header and then it. */
export function encodeTarHeader(header: TarHeader): Buffer {
  return Buffer.from(writeTarHeader(header));
}

/** The same, in memory that the next call uses again. */
export function writeTarHeader(header: TarHeader): Buffer {
  const { path } = header;
  const time = splitTime(header.mtimeNs);
  const records = paxRecordsOf(header, time);
  const split = records !== undefined && isPathAlone(records) ? splitPath(path) : undefined;
  if (records === undefined || split !== undefined) {
    const block = zeros(BLOCK_BYTES);
    writeEntryBlock(0, header, { seconds: time.seconds, prefix: split?.prefix ?? '', name: split?.name ?? path });
    return block;
  }
  const body = encodePaxRecords(records);
  const end = BLOCK_BYTES + Math.ceil(body.length / BLOCK_BYTES) * BLOCK_BYTES;
  const blocks = zeros(end + BLOCK_BYTES);
  writePaxBlock(path, body.length);
  blocks.write(body, BLOCK_BYTES, 'latin1');
  writeEntryBlock(end, header, { seconds: time.seconds, prefix: '', name: ascii(path).slice(0, NAME_BYTES) });
  return blocks;
}

function zeros(bytes: number): Buffer {
  if (memory.length < bytes) memory = Buffer.alloc(bytes);
  return memory.subarray(0, bytes).fill(0);
}

/** Undefined where ustar can say all. */
function paxRecordsOf(header: TarHeader, time: Time): Map<string, string> | undefined {
  let records: Map<string, string> | undefined;
  const add = (key: string, value: string): void => {
    records ??= new Map();
    records.set(key, value);
  };
  if (header.path.length > NAME_BYTES || !isAscii(header.path)) add('path', header.path);
  if (header.linkPath.length > NAME_BYTES || !isAscii(header.linkPath)) add('linkpath', header.linkPath);
  if (header.uid > ID_MAX) add('uid', String(header.uid));
  if (header.gid > ID_MAX) add('gid', String(header.gid));
  if (header.size > SIZE_MAX) add('size', String(header.size));
  if (!time.isUstar) add('mtime', formatTime(header.mtimeNs));
  for (const [key, value] of header.xattrs) add(`SCHILY.xattr.${key}`, value.toString('latin1'));
  return records;
}

function isPathAlone(records: ReadonlyMap<string, string>): boolean {
  return records.size === 1 && records.has('path');
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

function writeEntryBlock(at: number, header: TarHeader, place: { prefix: string; name: string; seconds: number }): void {
  const { typeFlag, mode, uid, gid, size, linkPath, major, minor } = header;
  // Named one by one: a spread takes longer than the block.
  writeTarBlock(memory, at, {
    name: place.name,
    typeFlag,
    mode,
    uid: uid > ID_MAX ? 0 : uid,
    gid: gid > ID_MAX ? 0 : gid,
    size: size > SIZE_MAX ? 0 : size,
    seconds: place.seconds,
    linkName: linkPath === '' ? '' : ascii(linkPath).slice(0, NAME_BYTES),
    major,
    minor,
    prefix: place.prefix,
  });
}

/** The PAX header's own entry: its name is never used by a reader, and made from the path alone. */
function writePaxBlock(path: ByteString, size: number): void {
  const clean = withoutSlashes(path);
  const slash = clean.lastIndexOf('/') + 1;
  const name = ascii(`${clean.slice(0, slash)}PaxHeaders.0/${clean.slice(slash)}`).slice(0, NAME_BYTES);
  writeTarBlock(memory, 0, { name: withoutSlashes(name), typeFlag: 'x', mode: 0, uid: 0, gid: 0, size, seconds: 0 });
}

interface Time {
  /** For readers that do not know PAX: the second within which the time lies, or 0. */
  readonly seconds: number;
  /** Whether that is all there is to say. */
  readonly isUstar: boolean;
}

function splitTime(mtimeNs: bigint): Time {
  const seconds = mtimeNs / NANOSECONDS;
  if (mtimeNs < 0n || seconds > BigInt(SIZE_MAX)) return { seconds: 0, isUstar: false };
  return { seconds: Number(seconds), isUstar: seconds * NANOSECONDS === mtimeNs };
}

/** Decimal seconds with as many places as needed: `1.000000001`, `-0.5`. */
function formatTime(mtimeNs: bigint): string {
  const size = mtimeNs < 0n ? -mtimeNs : mtimeNs;
  const digits = size.toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return `${mtimeNs < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`;
}

function withoutSlashes(path: string): string {
  return path.endsWith('/') ? path.replace(/\/+$/, '') : path;
}

function isAscii(text: string): boolean {
  return !/[^\x01-\x7f]/.test(text);
}

function ascii(text: string): string {
  return isAscii(text) ? text : text.replace(/[^\x01-\x7f]/g, '');
}
