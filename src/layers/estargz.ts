/**
 * A layer's archive as eStargz: a gzip of many members in which each piece of a file starts one, and an index of them at the end, so
 * that files can be read without the rest. Source: stargz-snapshotter docs/estargz.md. The bytes follow from archive and level alone.
 */
import { createHash } from 'node:crypto';
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { type ByteString, display, toBuffer } from '../tree/byte-string.ts';
import { gzipHeader, gzipMember, gzipTrailer } from './gzip-member.ts';
import { inOrder } from './in-order.ts';
import { readTar, type TarEntry } from './read-tar.ts';
import { encodeTarHeader } from './tar-header.ts';
import { BLOCK_BYTES } from './write-tar-block.ts';

/** What a manifest says of such a layer. */
export const ESTARGZ_ANNOTATIONS = {
  toc: 'containerd.io/snapshot/stargz/toc.digest',
  size: 'io.containers.estargz.uncompressed-size',
} as const;

/** Called for the plain bytes of each part, in order: together they are the archive of the layer. */
export type OnPlain = (bytes: Buffer) => void;

const TOC_NAME = 'stargz.index.json' as ByteString;
/** Says that nothing is to be fetched ahead. */
const LANDMARK = '.no.prefetch.landmark' as ByteString;
const OLD_NAMES = new Set<string>([TOC_NAME, LANDMARK, '.prefetch.landmark']);
const LANDMARK_CONTENT = Buffer.of(0xf);
const CHUNK_BYTES = 4 << 20;
const TYPES = {
  file: 'reg',
  directory: 'dir',
  symlink: 'symlink',
  hardlink: 'hardlink',
  char: 'char',
  block: 'block',
  fifo: 'fifo',
} as const;

/** An entry of the index; fields as estargz.md names them. */
interface TocEntry {
  readonly name: string;
  readonly type: (typeof TYPES)[keyof typeof TYPES] | 'chunk';
  offset?: number;
  digest?: Digest;
  chunkDigest?: Digest;
  readonly [field: string]: unknown;
}

/** Plain bytes that become one gzip member; its place is written into `entry`. */
interface Member {
  readonly plain: Buffer;
  readonly entry: TocEntry | undefined;
}

/** The blob's bytes; returns the digest of the index. Throws LAYER_INVALID, and UNSUPPORTED for a name that the index cannot hold. */
export async function* writeEstargz(
  archive: AsyncIterable<Buffer>,
  level: number,
  onPlain: OnPlain,
): AsyncGenerator<Buffer, Digest, undefined> {
  const entries: TocEntry[] = [];
  let offset = 0;
  const compressed = inOrder(cutMembers(archive, entries), async ({ plain, entry }) => ({
    plain,
    entry,
    gzip: await gzipMember(plain, level),
  }));
  for await (const { plain, entry, gzip } of compressed) {
    if (entry !== undefined) entry.offset = offset;
    onPlain(plain);
    offset += gzip.length;
    yield gzip;
  }
  const toc = canonicalJson({ version: 1, entries });
  const end = Buffer.concat([header(TOC_NAME, toc.length), toc, padding(toc.length), Buffer.alloc(2 * BLOCK_BYTES)]);
  onPlain(end);
  yield await gzipMember(end, level);
  yield footer(offset);
  return digestOf(toc);
}

/** Headers and the padding before them stay with what comes before, as in the specification's own writer. */
async function* cutMembers(archive: AsyncIterable<Buffer>, entries: TocEntry[]): AsyncGenerator<Member, void, undefined> {
  let parts: Buffer[] = [header(LANDMARK, LANDMARK_CONTENT.length)];
  let bytes = BLOCK_BYTES;
  let entry: TocEntry | undefined;
  const add = (part: Buffer): void => {
    parts.push(part);
    bytes += part.length;
  };
  function* cut(next: TocEntry | undefined): Generator<Member> {
    yield { plain: Buffer.concat(parts), entry };
    parts = [];
    bytes = 0;
    entry = next;
  }
  const landmark: TocEntry = {
    name: LANDMARK,
    type: 'reg',
    size: 1,
    digest: digestOf(LANDMARK_CONTENT),
    chunkDigest: digestOf(LANDMARK_CONTENT),
  };
  entries.push(landmark);
  yield* cut(landmark);
  add(LANDMARK_CONTENT);
  add(padding(LANDMARK_CONTENT.length));
  for await (const item of readTar(archive)) {
    if (OLD_NAMES.has(item.name.replace(/^(?:\.?\/)+/, ''))) continue;
    for (const block of item.blocks) add(block);
    const described = describe(item);
    entries.push(described);
    if (item.type !== 'file' || item.size === 0) {
      if (bytes > CHUNK_BYTES) yield* cut(undefined);
      continue;
    }
    const whole = createHash('sha256');
    for await (const { piece, at } of pieces(item)) {
      const chunk: TocEntry = at === 0 ? described : { name: described.name, type: 'chunk', chunkOffset: at };
      if (at > 0) entries.push(chunk);
      // The last piece's size follows from the file's.
      if (piece.length < item.size - at) Object.assign(chunk, { chunkSize: piece.length });
      chunk.chunkDigest = digestOf(piece);
      whole.update(piece);
      yield* cut(chunk);
      add(piece);
    }
    described.digest = `sha256:${whole.digest('hex')}`;
    add(padding(item.size));
  }
  yield* cut(undefined);
}

/** Pieces of exactly CHUNK_BYTES, the last one excepted. */
async function* pieces(item: TarEntry): AsyncGenerator<{ piece: Buffer; at: number }, void, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  let at = 0;
  for await (const chunk of item.chunks()) {
    for (let from = 0; from < chunk.length; ) {
      const part = chunk.subarray(from, from + CHUNK_BYTES - size);
      parts.push(part);
      size += part.length;
      from += part.length;
      if (size < CHUNK_BYTES) continue;
      yield { piece: Buffer.concat(parts), at };
      at += size;
      parts = [];
      size = 0;
    }
  }
  if (size > 0) yield { piece: Buffer.concat(parts), at };
}

function describe(item: TarEntry): TocEntry {
  const { type, size, mode, uid, gid, major, minor, mtimeNs, xattrs } = item;
  return {
    name: textOf(item.name),
    type: TYPES[type],
    ...(size === 0 ? {} : { size }),
    ...timeOf(mtimeNs),
    ...(item.linkName === '' || (type !== 'symlink' && type !== 'hardlink') ? {} : { linkName: textOf(item.linkName) }),
    ...(mode === 0 ? {} : { mode }),
    ...(uid === 0 ? {} : { uid }),
    ...(gid === 0 ? {} : { gid }),
    ...(major === 0 ? {} : { devMajor: major }),
    ...(minor === 0 ? {} : { devMinor: minor }),
    ...(xattrs.size === 0 ? {} : { xattrs: Object.fromEntries([...xattrs].map(([key, value]) => [key, value.toString('base64')])) }),
  };
}

/** To the nearest second; a time that RFC 3339 cannot write is left out, as that of the epoch is. */
function timeOf(mtimeNs: bigint): { modtime?: string } {
  const seconds = Number((mtimeNs + 500_000_000n) / 1_000_000_000n);
  if (seconds === 0 || seconds < -62_135_596_800 || seconds > 253_402_300_799) return {};
  return { modtime: new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') };
}

function textOf(name: ByteString): string {
  const bytes = toBuffer(name);
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return text;
  throw new TsbuildError('UNSUPPORTED', `Cannot write ${display(name)} into an eStargz layer: the names of its index are UTF-8`, {
    hint: 'Use another compression.',
  });
}

function header(path: ByteString, size: number): Buffer {
  const nothing = { mode: 0, uid: 0, gid: 0, mtimeNs: 0n, major: 0, minor: 0, linkPath: '' as ByteString, xattrs: new Map() };
  return encodeTarHeader({ ...nothing, path, size, typeFlag: '0' });
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** 51 bytes: an empty member whose extra field, of the subfield SG, says where the index starts. */
function footer(tocOffset: number): Buffer {
  const field = Buffer.from(`${tocOffset.toString(16).padStart(16, '0')}STARGZ`, 'latin1');
  const start = gzipHeader(6);
  start[3] = 4; // FEXTRA
  const lengths = Buffer.alloc(6);
  lengths.writeUInt16LE(4 + field.length, 0);
  lengths.write('SG', 2, 'latin1');
  lengths.writeUInt16LE(field.length, 4);
  // A last block that is stored, and empty (RFC 1951 3.2.4).
  return Buffer.concat([start, lengths, field, Buffer.of(1, 0, 0, 0xff, 0xff), gzipTrailer(0, 0)]);
}
