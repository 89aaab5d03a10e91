/** A layer blob as changes: hostile input, read once, in bounded memory (OCI image-spec layer.md). */
import { createHash } from 'node:crypto';
import { TsbuildError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { isImageXattr } from '../sys/xattr.ts';
import { type ByteString, display, join, nameOf, parentOf } from '../tree/byte-string.ts';
import type { AddChange, Change, Content } from '../tree/change.ts';
import type { FileNode, Xattrs } from '../tree/file-tree.ts';
import { decompress } from './decompress.ts';
import { readTar, type TarEntry } from './read-tar.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteout-names.ts';

export interface LayerLimits {
  /** Bytes of the archive after decompression. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

export interface ReadLayerOptions {
  /** As the manifest says. What the bytes are decides; only a type that is no archive is refused. */
  readonly mediaType?: string;
  readonly limits?: LayerLimits;
  readonly signal?: AbortSignal;
  /** Called with the digest of the decompressed bytes when all of them were read. */
  onDiffId?(digest: Digest): void;
}

export const LAYER_LIMITS: LayerLimits = { maxBytes: 128 * 2 ** 30, maxEntries: 20_000_000 };

const LINK_BYTES_MAX = 4095;
const XATTR_KEY_BYTES_MAX = 255;
const XATTR_VALUE_BYTES_MAX = 65_536;
const SMALL_BYTES_MAX = 1 << 18;
/** What aufs left in the root of old images; docker passes over it too. */
const AUFS_NAMES = new Set(['.wh..wh.plnk', '.wh..wh.aufs', '.wh..wh.orph']);

/**
 * Yields changes in the order of the archive, which need not be that of tree/change.ts. A change's content is to be read
 * before the next change is asked for; left alone, it is passed over. Throws LAYER_INVALID for everything that is malformed,
 * leaves the root, or goes beyond `limits`.
 */
export async function* readLayer(source: AsyncIterable<Buffer>, options: ReadLayerOptions = {}): AsyncGenerator<Change, void, undefined> {
  const { limits = LAYER_LIMITS, mediaType } = options;
  if (mediaType !== undefined && !/[./]tar(?:[.+]|$)/.test(mediaType)) {
    throw new TsbuildError('UNSUPPORTED', `Cannot read a layer of the media type ${JSON.stringify(mediaType.slice(0, 200))}`);
  }
  const hash = createHash('sha256');
  const bounded = observe(decompress(source), { maxBytes: limits.maxBytes, see: (chunk) => hash.update(chunk) });
  let entries = 0;
  for await (const entry of readTar(bounded)) {
    options.signal?.throwIfAborted();
    if (++entries > limits.maxEntries) throw invalid(`it has more than ${limits.maxEntries} entries`);
    const change = toChange(entry);
    if (change !== undefined) yield change;
  }
  options.onDiffId?.(`sha256:${hash.digest('hex')}`);
}

async function* observe(
  source: AsyncIterable<Buffer>,
  how: { maxBytes: number; see(chunk: Buffer): void },
): AsyncGenerator<Buffer, void, undefined> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > how.maxBytes) throw invalid(`it is larger than ${how.maxBytes} bytes when decompressed`);
    how.see(chunk);
    yield chunk;
  }
}

function toChange(entry: TarEntry): Change | undefined {
  const path = cleanPath(entry.name, 'name');
  const components = path.split('/');
  if (AUFS_NAMES.has(components[0] ?? '')) return undefined;
  if (components.slice(0, -1).some((name) => name.startsWith(WHITEOUT_PREFIX))) throw invalidName(path, 'is inside a whiteout');
  if (nameOf(path).startsWith(WHITEOUT_PREFIX)) return toDeletion(path, entry);
  if (path === '' && entry.type !== 'directory') throw invalidName(path, `makes the root a ${entry.type}`);
  if (entry.type === 'file' && entry.name.endsWith('/')) throw invalidName(path, 'is a file whose name ends with a slash');
  return toAddition(path, entry);
}

/** Only the base name counts: where it is, is the path's own affair. `.wh.` before nothing, `.`, `..` or itself is no name. */
function toDeletion(path: ByteString, entry: TarEntry): Change {
  const parent = parentOf(path);
  if (entry.type !== 'file' && entry.type !== 'hardlink') throw invalidName(path, `is a whiteout and a ${entry.type}`);
  if (nameOf(path) === OPAQUE_NAME) return { kind: 'opaque', path: parent };
  const name = nameOf(path).slice(WHITEOUT_PREFIX.length) as ByteString;
  if (name === '' || name === '.' || name === '..' || name.startsWith(WHITEOUT_PREFIX)) throw invalidName(path, 'is no whiteout of a name');
  return { kind: 'delete', path: join(parent, name) };
}

function toAddition(path: ByteString, entry: TarEntry): AddChange {
  const { mode, uid, gid, size, mtimeNs, major, minor } = entry;
  const xattrs = xattrsOf(path, entry);
  const node: FileNode = { type: 'file', mode, uid, gid, size, mtimeNs, ctimeNs: 0n };
  const added = { kind: 'add', path, xattrs } as const;
  switch (entry.type) {
    case 'file':
      return { ...added, node, content: contentOf(entry) };
    case 'directory':
    case 'fifo':
      return { ...added, node: { ...node, type: entry.type } };
    case 'hardlink':
      return { ...added, node, hardLinkTo: linkedPath(path, entry.linkName) };
    case 'symlink':
      return { ...added, node: { ...node, type: 'symlink', mode: 0o777, linkTarget: checkTarget(path, entry.linkName) } };
    case 'char':
    case 'block':
      // 0:0 as a character device is how an overlay says "deleted": an entry must not forge it.
      if (entry.type === 'char' && major === 0 && minor === 0) throw invalidName(path, 'is the character device 0:0');
      return { ...added, node: { ...node, type: entry.type, device: { major, minor } } };
  }
}

function contentOf(entry: TarEntry): Content {
  const bytes = entry.size <= SMALL_BYTES_MAX ? entry.bytesNow() : undefined;
  return bytes === undefined ? { kind: 'stream', chunks: () => entry.chunks() } : { kind: 'bytes', bytes };
}

function linkedPath(path: ByteString, name: ByteString): ByteString {
  const target = cleanPath(name, 'link');
  if (target === '') throw invalidName(path, 'is a hard link to the root');
  return target;
}

function checkTarget(path: ByteString, target: ByteString): ByteString {
  if (target === '' || target.length > LINK_BYTES_MAX) throw invalidName(path, 'is a symbolic link whose target is empty or too long');
  return target;
}

/** Relative to the root whatever it starts with, as docker reads it; `..` could leave the root and is never needed. */
function cleanPath(name: ByteString, what: 'name' | 'link'): ByteString {
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw invalid(`the ${what} ${display(name)} contains ".."`);
  if (name === '') throw invalid(`a ${what} is empty`);
  return components.join('/') as ByteString;
}

function xattrsOf(path: ByteString, entry: TarEntry): Xattrs {
  if (entry.xattrs.size === 0) return entry.xattrs;
  const kept = new Map<string, Buffer>();
  for (const [key, value] of entry.xattrs) {
    if (!isImageXattr(key)) continue;
    if (key.length > XATTR_KEY_BYTES_MAX || value.length > XATTR_VALUE_BYTES_MAX)
      throw invalidName(path, 'has an attribute that is too large');
    kept.set(key, value);
  }
  return kept;
}

function invalidName(path: ByteString, reason: string): TsbuildError {
  return invalid(`${path === '' ? '/' : display(path)} ${reason}`);
}

function invalid(reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a layer: ${reason}`);
}
