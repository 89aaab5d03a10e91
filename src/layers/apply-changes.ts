/**
 * The changes of one layer as files in an overlay upper directory. What an archive asks for stays inside: parents are resolved
 * as in a root by descriptors, names are created and never opened if they exist, and metadata is set without following links.
 */
import { closeSync, constants, ftruncateSync, readSync } from 'node:fs';
import { TsbuildError, unreachable } from '../errors.ts';
import { copyRange, writeFully } from '../sys/copy.ts';
import { linkAt } from '../sys/entries.ts';
import { setTimesAt } from '../sys/metadata.ts';
import { createAt, openAt } from '../sys/open.ts';
import { isWhiteout, makeWhiteoutAt } from '../sys/overlay-marks.ts';
import { type Stat, statAt } from '../sys/stat.ts';
import { imageXattrsAt } from '../sys/xattr.ts';
import { type ByteString, display, nameOf, parentOf } from '../tree/byte-string.ts';
import type { AddChange, Change, Changeset, Content } from '../tree/change.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { type LossTelling, LostAttributes } from './lost-attributes.ts';
import { dropXattrs, makeEntry, setMetadata, setMetadataOfNew, UpperDirectory, type UpperPlace } from './upper-directory.ts';

export interface ApplyChangesOptions {
  /** What is below the upper directory; absent, nothing is. A whiteout of what it does not have is left out. */
  readonly lower?: FileTree;
  readonly signal?: AbortSignal;
  /** Attributes that files cannot have here are one warning, at the end; without this, the first is an error. */
  readonly losses?: LossTelling;
  /** Bytes of content written so far. */
  onProgress?(bytes: number): void;
}

/** Changes being applied. Disposing gives the last directories their times. */
export interface Work extends Disposable {
  readonly upper: UpperDirectory;
  readonly lost: LostAttributes;
  readonly options: ApplyChangesOptions;
  bytes: number;
  /** For small files: one more byte, to see that there is none. Its own, since what is in it is handed on. */
  buffer?: Buffer;
}

/** A new file as it is when it is closed. */
export interface WrittenFile {
  readonly stat: Stat;
  /** Its content, where that is in memory: until the next change. */
  readonly bytes: Buffer | undefined;
}

const ROOT = '' as ByteString;
/** Of a file: what most disks give space by. */
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
/** Up to this size, a read and a write cost less than asking the kernel to copy. */
const SMALL_BYTES_MAX = 1 << 16;

/**
 * `upperFd` is a directory with nothing in it yet that only this call writes to; the changes may come in any order. A deletion
 * is about lower layers only, whether it comes before or after an entry of the same name. Throws LAYER_INVALID, and leaves
 * what was written so far.
 */
export async function applyChanges(changes: Changeset, upperFd: number, options: ApplyChangesOptions = {}): Promise<void> {
  using work = beginChanges(upperFd, options);
  for await (const change of changes) {
    options.signal?.throwIfAborted();
    await applyChange(work, change);
  }
  work.lost.tell();
}

/** Whoever has applied all changes tells of `lost`. */
export function beginChanges(upperFd: number, options: ApplyChangesOptions): Work {
  const lost = new LostAttributes(options.losses);
  const upper = new UpperDirectory(upperFd, options.lower, lost);
  return { upper, lost, options, bytes: 0, [Symbol.dispose]: () => upper[Symbol.dispose]() };
}

/** One change; says what became of it where it is a new file. */
export async function applyChange(work: Work, change: Change): Promise<WrittenFile | undefined> {
  switch (change.kind) {
    case 'add':
      if (change.path === '') describeRoot(work, change);
      else if (change.node.type !== 'socket') return await add(work, change);
      return undefined;
    case 'delete':
      remove(work, change.path);
      return undefined;
    case 'opaque':
      work.upper.hideLower(work.upper.enter(change.path));
      return undefined;
    default:
      return unreachable(change);
  }
}

function describeRoot({ upper }: Work, change: AddChange): void {
  if (change.node.type !== 'directory') throw invalid(change.path, 'the root is no directory');
  describeAgain(upper, upper.enter(ROOT), { name: ROOT, change });
}

async function add(work: Work, change: AddChange): Promise<WrittenFile | undefined> {
  work.lost.noteFixed(change);
  if (change.node.type === 'file' && change.hardLinkTo === undefined) return await addFile(work, change);
  addEntry(work, change);
  return undefined;
}

function addEntry(work: Work, change: AddChange): void {
  const { upper, lost } = work;
  const name = nameOf(change.path);
  // The target first: finding it may make directories, and the walk is then elsewhere.
  const target = change.hardLinkTo === undefined ? undefined : openLinkTarget(work, change, change.hardLinkTo);
  try {
    const place = upper.enter(parentOf(change.path));
    const stat = statAt(place.fd, name);
    if (target !== undefined) {
      // A name that is the target itself must not be removed before it is linked.
      if (stat !== undefined && stat.ino === target.stat.ino && stat.dev === target.stat.dev) return;
      upper.clear(place, name, stat);
      linkAt(target.dir, target.name, place.fd, name);
      describeLink(place, name, change, lost);
      return;
    }
    if (change.node.type === 'directory' && stat?.type === 'directory') {
      describeAgain(upper, place, { name, change });
      return;
    }
    const lower = upper.clear(place, name, stat);
    if (change.node.type === 'directory') upper.makeDirectory(place, name, { ...change, lower });
    else addNode(place, name, change, lost);
  } finally {
    if (target !== undefined) closeSync(target.dir);
  }
}

function addNode(place: UpperPlace, name: ByteString, change: AddChange, lost: LostAttributes): void {
  const { type, device } = change.node;
  if (type === 'char' && (device?.major ?? 0) === 0 && (device?.minor ?? 0) === 0)
    throw invalid(change.path, 'it is the character device 0:0');
  makeEntry(place.fd, name, change.node);
  setMetadata(place.fd, name, change, lost);
}

/** The directory was there, made for an entry before its own or described twice: the last description counts. */
function describeAgain(upper: UpperDirectory, place: UpperPlace, entry: { name: ByteString; change: AddChange }): void {
  const { name, change } = entry;
  const old = imageXattrsAt(place.fd, name);
  for (const key of change.xattrs.keys()) old.delete(key);
  dropXattrs(place.fd, name, old.keys());
  upper.describeDirectory(place, name, change);
}

/** An archive describes an inode once for each of its names; as everywhere, the last one counts. */
function describeLink(place: UpperPlace, name: ByteString, change: AddChange, lost: LostAttributes): void {
  const { node, path } = change;
  const stat = statAt(place.fd, name);
  if (stat === undefined || stat.type === 'symlink') return;
  const isSame = stat.mode === node.mode && stat.uid === node.uid && stat.gid === node.gid && change.xattrs.size === 0;
  if (isSame && stat.mtimeNs !== node.mtimeNs) setTimesAt(place.fd, name, node.mtimeNs);
  if (isSame) return;
  setMetadata(place.fd, name, { path, node, xattrs: new Map([...imageXattrsAt(place.fd, name), ...change.xattrs]) }, lost);
}

/** The place of an existing file: of this layer, or of a lower one and then copied up. The caller closes `dir`. */
function openLinkTarget({ upper }: Work, change: AddChange, target: ByteString): { dir: number; name: ByteString; stat: Stat } {
  const name = nameOf(target);
  const place = upper.enter(parentOf(target));
  let stat = statAt(place.fd, name);
  if (stat === undefined) {
    const node = upper.lowerNode(place, name);
    if (node !== undefined && node.type !== 'directory') upper.copyUp(place, name, node);
    stat = statAt(place.fd, name);
  }
  if (stat === undefined || isWhiteout(stat)) throw invalid(change.path, `it is a hard link to ${display(target)}, which is not there`);
  if (stat.type === 'directory') throw invalid(change.path, `it is a hard link to ${display(target)}, which is a directory`);
  return { dir: openAt(place.fd, ROOT, constants.O_RDONLY | constants.O_DIRECTORY), name, stat };
}

function remove({ upper, options }: Work, path: ByteString): void {
  if (path === '') throw invalid(path, 'the root cannot be deleted');
  const name = nameOf(path);
  const place = upper.enter(parentOf(path));
  const stat = statAt(place.fd, name);
  if (stat?.type === 'directory') upper.hideLowerIn(place, name);
  else if (stat === undefined && (options.lower === undefined || upper.lowerNode(place, name) !== undefined))
    makeWhiteoutAt(place.fd, name);
}

async function addFile(work: Work, change: AddChange): Promise<WrittenFile> {
  const { node, content, path } = change;
  const fd = createFile(work.upper, change);
  try {
    if (node.size > 0 && content === undefined) throw new Error(`${display(path)} has ${node.size} bytes and no content`);
    const bytes = content === undefined ? undefined : await writeContent(work, fd, { path, size: node.size, content });
    return { stat: setMetadataOfNew(fd, change, work.lost), bytes };
  } finally {
    closeSync(fd);
  }
}

/** Most names are new, and are made without being asked for. Setuid and its like come when the content is there. */
function createFile(upper: UpperDirectory, { node, path }: AddChange): number {
  const name = nameOf(path);
  const place = upper.enter(parentOf(path));
  const made = createAt(place.fd, name, node.mode & 0o777);
  if (made !== undefined) return made;
  upper.clear(place, name, statAt(place.fd, name));
  const fd = createAt(place.fd, name, node.mode & 0o777);
  if (fd === undefined) throw invalid(path, 'its name cannot be cleared');
  return fd;
}

/** Gives back what it has in memory of the content. */
async function writeContent(
  work: Work,
  fd: number,
  file: { path: ByteString; size: number; content: Content },
): Promise<Buffer | undefined> {
  const { content, size, path } = file;
  let bytes: Buffer | undefined;
  switch (content.kind) {
    case 'file':
      bytes = copyFile(work, fd, { path, size, content });
      break;
    case 'bytes':
      if (content.bytes.length !== size) throw changed(path);
      bytes = content.bytes;
      writeFully(fd, bytes);
      break;
    case 'stream': {
      let at = 0;
      for await (const chunk of content.chunks()) {
        work.options.signal?.throwIfAborted();
        if (at + chunk.length > size) throw changed(path);
        writeSparse(fd, chunk, at);
        at += chunk.length;
      }
      if (at !== size) throw changed(path);
      ftruncateSync(fd, size);
      break;
    }
    default:
      unreachable(content);
  }
  work.bytes += size;
  work.options.onProgress?.(work.bytes);
  return bytes;
}

function copyFile(
  work: Work,
  to: number,
  file: { path: ByteString; size: number; content: Content & { kind: 'file' } },
): Buffer | undefined {
  const from = file.content.open();
  try {
    if (file.size <= SMALL_BYTES_MAX) return copySmall(work, { from, to }, file);
    if (statAt(from, ROOT)?.size !== file.size) throw changed(file.path);
    copyRange(from, to, file.size);
    if (statAt(from, ROOT)?.size !== file.size) throw changed(file.path);
    return undefined;
  } finally {
    closeSync(from);
  }
}

function copySmall(work: Work, { from, to }: { from: number; to: number }, file: { path: ByteString; size: number }): Buffer {
  work.buffer ??= Buffer.allocUnsafeSlow(SMALL_BYTES_MAX + 1);
  const { buffer } = work;
  let size = 0;
  for (let count = -1; count !== 0 && size <= file.size; size += count) {
    count = readSync(from, buffer, size, file.size + 1 - size, null);
    // A regular file gives less than was asked for at its end only.
    if (size + count === file.size) {
      const bytes = buffer.subarray(0, file.size);
      writeFully(to, bytes);
      return bytes;
    }
  }
  throw changed(file.path);
}

/** Leaves holes where whole blocks are zeros, so that a file takes no more of the disk than it took where it was made. */
function writeSparse(fd: number, chunk: Buffer, position: number): void {
  let dataAt = 0;
  for (let at = 0; at < chunk.length; ) {
    const end = Math.min(chunk.length, at + BLOCK_BYTES - ((position + at) % BLOCK_BYTES));
    if (chunk[at] === 0 && chunk.compare(ZEROS, 0, end - at, at, end) === 0) {
      if (at > dataAt) writeFully(fd, chunk.subarray(dataAt, at), position + dataAt);
      dataAt = end;
    }
    at = end;
  }
  if (chunk.length > dataAt) writeFully(fd, chunk.subarray(dataAt), position + dataAt);
}

function changed(path: ByteString): TsbuildError {
  return new TsbuildError('CONTEXT_CHANGED', `Cannot write ${display(path)}: its size changed while it was read`);
}

function invalid(path: ByteString, reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot apply a layer at ${path === '' ? '/' : display(path)}: ${reason}`);
}
