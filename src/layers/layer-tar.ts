/**
 * Changes as a layer archive. Its bytes follow from the changes alone: entries in the order given, no names of users, no
 * padding but zeros, two zero blocks at the end (OCI image-spec layer.md; POSIX.1-2017 pax).
 */
import { closeSync, read as readCallback, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { TsbuildError, unreachable } from '../errors.ts';
import { PIECE_BYTES } from '../sys/piece.ts';
import { statAt } from '../sys/stat.ts';
import { type ByteString, display, join, nameOf, parentOf } from '../tree/byte-string.ts';
import type { AddChange, Change, Changeset, Content } from '../tree/change.ts';
import { type TarHeader, writeTarHeader } from './tar-header.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteout-names.ts';
import { BLOCK_BYTES } from './write-tar-block.ts';

export interface LayerTarOptions {
  /** Later modification times become this one (SOURCE_DATE_EPOCH). Seconds since 1970. */
  readonly clampTimeSeconds?: number;
  /** `plain`: no layer, but a tar in which `.wh.x` is a name like any other. */
  readonly names?: 'layer' | 'plain';
  readonly signal?: AbortSignal;
  /** Memory for a chunk of PIECE_BYTES, for receivers that give it back; else each is left to the garbage collector. */
  takeChunk?(): Buffer;
}

const SYNC_READ_BYTES_MAX = 1 << 17;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const TYPE_FLAGS = { file: '0', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' } as const;

const readAsync = promisify(readCallback);

/**
 * Yields the archive in pieces of 1 MiB, which belong to the receiver. Sockets are left out, as everywhere. Throws CONTEXT_CHANGED
 * where a file does not have the size its node says: what was yielded before is then no archive.
 */
export async function* writeLayerTar(changes: Changeset, options: LayerTarOptions = {}): AsyncGenerator<Buffer, void, undefined> {
  const output = new ChunkBuffer(options.takeChunk ?? freshChunk);
  for await (const change of changes) {
    options.signal?.throwIfAborted();
    const header = headerOf(change, options);
    if (header === undefined) continue;
    const blocks = writeTarHeader(header);
    if (!output.put(blocks)) yield* output.add(Buffer.from(blocks));
    if (change.kind !== 'add' || header.size === 0) continue;
    const padding = (BLOCK_BYTES - (header.size % BLOCK_BYTES)) % BLOCK_BYTES;
    if (putBytes(change, output, padding) || putSmallFile(change, output, padding)) continue;
    yield* writeContent(change, output);
    yield* output.skip(padding);
  }
  yield* output.skip(2 * BLOCK_BYTES);
  yield* output.finish();
}

function headerOf(change: Change, options: LayerTarOptions): TarHeader | undefined {
  switch (change.kind) {
    case 'add':
      return change.node.type === 'socket' ? undefined : headerOfAdded(change, options);
    case 'delete':
      return headerOfWhiteout(join(parentOf(change.path), `${WHITEOUT_PREFIX}${nameOf(change.path)}` as ByteString));
    case 'opaque':
      return headerOfWhiteout(join(change.path, OPAQUE_NAME as ByteString));
    default:
      return unreachable(change);
  }
}

function headerOfAdded(change: AddChange, { clampTimeSeconds, names = 'layer' }: LayerTarOptions): TarHeader | undefined {
  const { node, path, hardLinkTo } = change;
  if (node.type === 'socket') return undefined;
  if (names === 'layer' && nameOf(path).startsWith(WHITEOUT_PREFIX)) {
    throw new TsbuildError('LAYER_INVALID', `Cannot put ${display(path)} into a layer: the name stands for a deletion there`);
  }
  const clampNs = clampTimeSeconds === undefined ? undefined : BigInt(clampTimeSeconds) * 1_000_000_000n;
  return {
    path: node.type === 'directory' ? (`${path === '' ? '.' : path}/` as ByteString) : path,
    typeFlag: hardLinkTo === undefined ? TYPE_FLAGS[node.type] : '1',
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    size: node.type === 'file' && hardLinkTo === undefined ? node.size : 0,
    mtimeNs: clampNs !== undefined && node.mtimeNs > clampNs ? clampNs : node.mtimeNs,
    linkPath: hardLinkTo ?? node.linkTarget ?? ('' as ByteString),
    major: node.device?.major ?? 0,
    minor: node.device?.minor ?? 0,
    xattrs: change.xattrs,
  };
}

function headerOfWhiteout(path: ByteString): TarHeader {
  const nothing = { mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n, major: 0, minor: 0 };
  return { ...nothing, path, typeFlag: '0', linkPath: '' as ByteString, xattrs: NO_XATTRS };
}

async function* writeContent(change: AddChange, output: ChunkBuffer): AsyncGenerator<Buffer, void, undefined> {
  const { content, node, path } = change;
  if (content === undefined) throw new Error(`${display(path)} has ${node.size} bytes and no content`);
  if (content.kind === 'file') {
    yield* writeFile(content, change, output);
    return;
  }
  let left = node.size;
  for await (const chunk of content.kind === 'bytes' ? [content.bytes] : content.chunks()) {
    left -= chunk.length;
    if (left < 0) throw changed(path);
    yield* output.add(chunk);
  }
  if (left !== 0) throw changed(path);
}

/** Content that is in memory and fits into the chunk in the making, at once; false, with nothing done, for any other. */
function putBytes({ content, node }: AddChange, output: ChunkBuffer, padding: number): boolean {
  if (content?.kind !== 'bytes' || content.bytes.length !== node.size) return false;
  const space = output.room(node.size + padding);
  if (space === undefined) return false;
  content.bytes.copy(space);
  space.fill(0, node.size);
  output.take(space.length);
  return true;
}

/**
 * A small file that fits into the chunk in the making, at once; false, with nothing done, for any other content. One byte more than
 * it has is asked for, which tells one that grew: half the calls for which a stat before and after would be needed.
 */
function putSmallFile({ content, node, path }: AddChange, output: ChunkBuffer, padding: number): boolean {
  if (content?.kind !== 'file' || node.size > SYNC_READ_BYTES_MAX) return false;
  const space = output.room(Math.max(node.size + padding, node.size + 1));
  if (space === undefined) return false;
  const fd = content.open();
  try {
    let at = 0;
    for (let count = -1; count !== 0 && at < node.size; at += count) count = readSync(fd, space, at, node.size + 1 - at, null);
    if (at !== node.size) throw changed(path);
  } finally {
    closeSync(fd);
  }
  space.fill(0, node.size);
  output.take(node.size + padding);
  return true;
}

/** Reads into the chunk in the making, and ahead into the next one while the receiver works. */
async function* writeFile(
  content: Content & { kind: 'file' },
  change: AddChange,
  output: ChunkBuffer,
): AsyncGenerator<Buffer, void, undefined> {
  const fd = content.open();
  let ahead: Promise<number> | undefined;
  try {
    const before = statAt(fd, '' as ByteString);
    if (before?.type !== 'file' || before.size !== change.node.size) throw changed(change.path);
    for (let left = before.size; left > 0; ) {
      const count = await (ahead ?? readInto(fd, output.space(left)));
      ahead = undefined;
      if (count === 0) throw changed(change.path);
      left -= count;
      const full = output.fill(count);
      if (full === undefined) continue;
      if (left > 0) ahead = readInto(fd, output.space(left));
      // It may fail long before it is awaited.
      ahead?.catch(() => {});
      yield full;
    }
    const after = statAt(fd, '' as ByteString);
    if (after?.size !== before.size || after.mtimeNs !== before.mtimeNs) throw changed(change.path);
  } finally {
    // A receiver that stops early leaves a read under way.
    await ahead?.catch(() => {});
    closeSync(fd);
  }
}

/** Little at once, the rest on libuv's pool. */
async function readInto(fd: number, space: Buffer): Promise<number> {
  return space.length <= SYNC_READ_BYTES_MAX
    ? readSync(fd, space, 0, space.length, null)
    : (await readAsync(fd, space, 0, space.length, null)).bytesRead;
}

function changed(path: ByteString): TsbuildError {
  return new TsbuildError('CONTEXT_CHANGED', `Cannot put ${display(path)} into a layer: its size changed while it was read`);
}

function freshChunk(): Buffer {
  return Buffer.allocUnsafeSlow(PIECE_BYTES);
}

/** Gathers bytes into chunks of exactly PIECE_BYTES. Another piece for each: the last one is being hashed and compressed. */
class ChunkBuffer {
  private readonly takeChunk: () => Buffer;
  private chunk: Buffer;
  private used = 0;

  constructor(takeChunk: () => Buffer) {
    this.takeChunk = takeChunk;
    this.chunk = takeChunk();
  }

  /** All of `bytes`, where the chunk is not full after them; else nothing, and false. */
  put(bytes: Buffer): boolean {
    if (this.used + bytes.length >= PIECE_BYTES) return false;
    this.chunk.set(bytes, this.used);
    this.used += bytes.length;
    return true;
  }

  /** Exactly `wanted` bytes, to be filled and then reported by `take`; undefined where they would fill the chunk. */
  room(wanted: number): Buffer | undefined {
    return this.used + wanted < PIECE_BYTES ? this.chunk.subarray(this.used, this.used + wanted) : undefined;
  }

  take(count: number): void {
    this.used += count;
  }

  *add(bytes: Buffer): Generator<Buffer, void, undefined> {
    for (let at = 0; at < bytes.length; ) {
      const count = bytes.copy(this.chunk, this.used, at);
      at += count;
      yield* this.advance(count);
    }
  }

  /** Leaves zeros. */
  *skip(count: number): Generator<Buffer, void, undefined> {
    for (let left = count; left > 0; ) {
      const space = this.space(left);
      space.fill(0); // a read that was cut short may have left bytes here
      left -= space.length;
      yield* this.advance(space.length);
    }
  }

  /** Room for at most `wanted` bytes, to be filled and then reported by `advance`. */
  space(wanted: number): Buffer {
    return this.chunk.subarray(this.used, Math.min(this.used + wanted, PIECE_BYTES));
  }

  *advance(count: number): Generator<Buffer, void, undefined> {
    const full = this.fill(count);
    if (full !== undefined) yield full;
  }

  /** As `advance`, and gives the chunk that became full. */
  fill(count: number): Buffer | undefined {
    this.used += count;
    if (this.used < PIECE_BYTES) return undefined;
    const full = this.chunk;
    this.chunk = this.takeChunk();
    this.used = 0;
    return full;
  }

  *finish(): Generator<Buffer, void, undefined> {
    if (this.used > 0) yield this.chunk.subarray(0, this.used);
  }
}
