/**
 * A strict reader of tar archives. It is our own and not tar-stream's `extract`, because that gives PAX values as text, which
 * destroys the bytes of `security.capability` and of names that are not UTF-8, ignores PAX uid, gid and mtime, and hands sparse
 * entries through as if they were whole; and two parsers beside each other could disagree on where an entry starts.
 * Where Go's archive/tar, GNU tar and others disagree about an archive, this reader refuses it.
 */
import { TsbuildError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import type { FileType } from '../tree/file-tree.ts';
import { ByteReader } from './byte-reader.ts';
import { decodePaxRecords, type PaxRecords } from './pax-records.ts';
import { parseTarBlock, type TarBlock } from './tar-fields.ts';

/** Names as stored: not cleaned. `chunks` gives `size` bytes, once, before the next entry is asked for. */
export interface TarEntry {
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly type: Exclude<FileType, 'socket'> | 'hardlink';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly major: number;
  readonly minor: number;
  /** Of the records `SCHILY.xattr.<name>`. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** The header as it stands in the archive, what extends it included. */
  readonly blocks: readonly Buffer[];
  chunks(): AsyncIterable<Buffer>;
  /** All the content where it is short and here already. */
  bytesNow(): Buffer | undefined;
}

/** What extended headers say about the next entry. */
interface Extensions {
  pax?: PaxRecords;
  longName?: ByteString;
  longLink?: ByteString;
}

const BLOCK_BYTES = 512;
const EXTENSION_BYTES_MAX = 1 << 20;
const ID_MAX = 2 ** 32 - 2;
/** What a record can say in place of the header's field. */
const APPLIED: ReadonlySet<string> = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'mtime']);
const CHARACTER_SETS: ReadonlySet<string> = new Set(['BINARY', 'ISO-IR 10646 2000 UTF-8']);
const XATTR_PREFIX = 'SCHILY.xattr.';
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const NO_BYTES = Buffer.alloc(0);
const TYPES = new Map<string, TarEntry['type']>([
  ['0', 'file'],
  ['\0', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'char'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

/** Reads to the end of the archive, and then `source` to its end. Throws LAYER_INVALID. */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry, void, undefined> {
  const reader = new ByteReader(source);
  try {
    for (;;) {
      const header = await readHeader(reader);
      if (header === undefined) break;
      const content = new EntryContent(reader, header.size);
      yield { ...header, chunks: () => content.chunks(), bytesNow: () => content.bytesNow() };
      await content.finish();
    }
    await reader.drain();
  } finally {
    await reader.close();
  }
}

type Header = Omit<TarEntry, 'chunks' | 'bytesNow'>;

async function readHeader(reader: ByteReader): Promise<Header | undefined> {
  const extensions: Extensions = {};
  const blocks: Buffer[] = [];
  for (;;) {
    const bytes = reader.readNow(BLOCK_BYTES) ?? (await reader.read(BLOCK_BYTES));
    const block = bytes === undefined ? undefined : parseTarBlock(bytes);
    if (block === undefined) {
      if (blocks.length > 0) throw invalid('an extended header has no entry');
      if (bytes !== undefined) await expectEnd(reader);
      return undefined;
    }
    if (bytes !== undefined) blocks.push(bytes);
    if (!(await readExtension(reader, block, { into: extensions, blocks }))) return { ...combine(block, extensions), blocks };
  }
}

/** An archive ends with two blocks of zeros; one and the end of the stream is common. */
async function expectEnd(reader: ByteReader): Promise<void> {
  const second = await reader.read(BLOCK_BYTES);
  if (second?.some((byte) => byte !== 0)) throw invalid('a block of zeros is followed by more entries');
}

/** Takes in a header that is about the next entry; false for an entry itself. */
async function readExtension(reader: ByteReader, block: TarBlock, found: { into: Extensions; blocks: Buffer[] }): Promise<boolean> {
  const { into, blocks } = found;
  switch (block.typeFlag) {
    case 'x':
      if (into.pax !== undefined) throw invalid('two extended headers follow each other');
      into.pax = decodePaxRecords(await readBody(reader, block, blocks));
      return true;
    case 'g':
      // Go's archive/tar gives it out as an entry, and forgets what came before.
      if (Object.keys(into).length > 0) throw invalid('a global extended header stands between an extended header and its entry');
      refuseGlobal(decodePaxRecords(await readBody(reader, block, blocks)));
      return true;
    case 'L':
      if (into.longName !== undefined) throw invalid('two long names follow each other');
      into.longName = longName(await readBody(reader, block, blocks));
      return true;
    case 'K':
      if (into.longLink !== undefined) throw invalid('two long names follow each other');
      into.longLink = longName(await readBody(reader, block, blocks));
      return true;
    default:
      return false;
  }
}

async function readBody(reader: ByteReader, block: TarBlock, blocks: Buffer[]): Promise<Buffer> {
  if (block.size > EXTENSION_BYTES_MAX) throw invalid('an extended header is larger than 1 MiB');
  const padded = Math.ceil(block.size / BLOCK_BYTES) * BLOCK_BYTES;
  const body = padded === 0 ? NO_BYTES : await reader.read(padded);
  if (body === undefined) throw invalid('it ends in an extended header');
  blocks.push(body);
  return body.subarray(0, block.size);
}

/** Global headers carry comments (git archive). Some readers apply them to entries and others do not: those are refused. */
function refuseGlobal(records: PaxRecords): void {
  for (const key of records.keys()) {
    if (APPLIED.has(key) || /^(?:hdrcharset|[acm]time|[ug]name|(?:GNU|SCHILY)\..*)$/s.test(key))
      throw invalid(`a global extended header sets ${JSON.stringify(key)}`);
  }
}

function combine(block: TarBlock, { pax, longName, longLink }: Extensions): Omit<Header, 'blocks'> {
  const type = typeOf(block);
  refuseAmbiguity(pax, { longName, longLink });
  const size = decimal(pax, 'size', Number.MAX_SAFE_INTEGER) ?? block.size;
  const name = text(pax, 'path') ?? longName ?? block.name;
  if (block.typeFlag === '\0' && (name.endsWith('/') !== block.name.endsWith('/') || /^[./]*$/.test(name)))
    throw invalid(`readers disagree about what ${display(name)} is`);
  if (type !== 'file' && size !== 0) throw invalid(`${display(name)} is a ${type} with content`);
  return {
    name,
    linkName: text(pax, 'linkpath') ?? longLink ?? block.linkName,
    type,
    mode: block.mode & 0o7777,
    uid: checkId(decimal(pax, 'uid', ID_MAX) ?? block.uid),
    gid: checkId(decimal(pax, 'gid', ID_MAX) ?? block.gid),
    size,
    mtimeNs: mtimeOf(pax) ?? BigInt(block.mtimeSeconds) * 1_000_000_000n,
    major: block.major,
    minor: block.minor,
    xattrs: xattrsOf(pax),
  };
}

/** Before ustar, a directory was a file whose name ends with a slash (GNU tar, Go and Python agree for this flag only). */
function typeOf(block: TarBlock): TarEntry['type'] {
  const type = TYPES.get(block.typeFlag);
  if (type === undefined)
    throw invalid(`${display(block.name)} has the entry type ${JSON.stringify(block.typeFlag)}, which layers do not use`);
  return block.typeFlag === '\0' && block.name.endsWith('/') ? 'directory' : type;
}

function refuseAmbiguity(pax: PaxRecords | undefined, long: { longName: ByteString | undefined; longLink: ByteString | undefined }): void {
  if (pax === undefined) return;
  for (const [key, value] of pax) {
    // Of sparse files, volumes and lists of directories: GNU tar alone reads what they say about the next entry.
    if (key.startsWith('GNU.')) throw invalid(`records of GNU tar, such as ${JSON.stringify(key)}, are not supported`);
    if (key === 'hdrcharset' && !CHARACTER_SETS.has(value.toString('latin1')))
      throw invalid('names are in a character set other than UTF-8');
    if (key === 'atime' || key === 'ctime') timeOf(key, value.toString('latin1'));
  }
  if ((long.longName !== undefined && pax.has('path')) || (long.longLink !== undefined && pax.has('linkpath'))) {
    throw invalid('an entry has a GNU long name and a PAX name');
  }
}

function text(pax: PaxRecords | undefined, key: string): ByteString | undefined {
  return pax?.get(key)?.toString('latin1') as ByteString | undefined;
}

function decimal(pax: PaxRecords | undefined, key: string, max: number): number | undefined {
  const value = text(pax, key);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^[0-9]{1,20}$/.test(value) || number > max) throw invalid(`a PAX ${key} is no number in range`);
  return number;
}

function checkId(id: number): number {
  if (id > ID_MAX) throw invalid(`the user or group ID ${id} is beyond 2^32-2`);
  return id;
}

function mtimeOf(pax: PaxRecords | undefined): bigint | undefined {
  const value = text(pax, 'mtime');
  return value === undefined ? undefined : timeOf('mtime', value);
}

function timeOf(key: string, value: string): bigint {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) throw invalid(`a PAX ${key} is no number`);
  const [, sign, seconds = '', fraction = ''] = match;
  const size = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -size : size;
}

function xattrsOf(pax: PaxRecords | undefined): ReadonlyMap<string, Buffer> {
  if (pax === undefined) return NO_XATTRS;
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of pax) if (key.startsWith(XATTR_PREFIX)) xattrs.set(key.slice(XATTR_PREFIX.length), value);
  return xattrs;
}

/** Where no NUL ends it, GNU tar takes the last byte for one. */
function longName(body: Buffer): ByteString {
  const end = body.indexOf(0);
  if (end <= 0) throw invalid('a long name is empty or has no end');
  return body.toString('latin1', 0, end) as ByteString;
}

function invalid(reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a layer: ${reason}`);
}

/** The bytes of one entry and the padding after them, whether they are asked for or not. */
class EntryContent {
  private readonly reader: ByteReader;
  private left: number;
  private padding: number;

  constructor(reader: ByteReader, size: number) {
    this.reader = reader;
    this.left = size;
    this.padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
  }

  bytesNow(): Buffer | undefined {
    const bytes = this.left === 0 ? NO_BYTES : this.reader.readNow(this.left);
    if (bytes !== undefined) this.left = 0;
    return bytes;
  }

  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    while (this.left > 0) {
      const part = await this.reader.takeOrFail(this.left);
      this.left -= part.length;
      yield part;
    }
  }

  async finish(): Promise<void> {
    const rest = this.left + this.padding;
    this.left = 0;
    this.padding = 0;
    if (rest > 0 && this.reader.readNow(rest) === undefined) await this.reader.skip(rest);
  }
}
