/** One entry of a tar as a change: what both a layer and an archive that ADD unpacks mean by it. */
import { TsbuildError } from '../errors.ts';
import { isImageXattr } from '../sys/xattr.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import type { AddChange, Content } from '../tree/change.ts';
import type { FileNode, Xattrs } from '../tree/file-tree.ts';
import type { TarEntry } from './read-tar.ts';

const LINK_BYTES_MAX = 4095;
const XATTR_KEY_BYTES_MAX = 255;
const XATTR_VALUE_BYTES_MAX = 65_536;
const SMALL_BYTES_MAX = 1 << 18;

/** The file that an entry describes, at its clean `path`. Throws LAYER_INVALID for what no tree can have. */
export function entryAddition(path: ByteString, entry: TarEntry): AddChange {
  if (path === '' && entry.type !== 'directory') throw invalidEntry(path, `makes the root a ${entry.type}`);
  if (entry.type === 'file' && entry.name.endsWith('/')) throw invalidEntry(path, 'is a file whose name ends with a slash');
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
      if (entry.type === 'char' && major === 0 && minor === 0) throw invalidEntry(path, 'is the character device 0:0');
      return { ...added, node: { ...node, type: entry.type, device: { major, minor } } };
  }
}

function contentOf(entry: TarEntry): Content {
  const bytes = entry.size <= SMALL_BYTES_MAX ? entry.bytesNow() : undefined;
  return bytes === undefined ? { kind: 'stream', chunks: () => entry.chunks() } : { kind: 'bytes', bytes };
}

function linkedPath(path: ByteString, name: ByteString): ByteString {
  const target = cleanTarPath(name, 'link');
  if (target === '') throw invalidEntry(path, 'is a hard link to the root');
  return target;
}

function checkTarget(path: ByteString, target: ByteString): ByteString {
  if (target === '' || target.length > LINK_BYTES_MAX) throw invalidEntry(path, 'is a symbolic link whose target is empty or too long');
  return target;
}

/** Relative to the root whatever it starts with, as docker reads it; `..` could leave the root and is never needed. */
export function cleanTarPath(name: ByteString, what: 'name' | 'link'): ByteString {
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw invalidTar(`the ${what} ${display(name)} contains ".."`);
  if (name === '') throw invalidTar(`a ${what} is empty`);
  return components.join('/') as ByteString;
}

function xattrsOf(path: ByteString, entry: TarEntry): Xattrs {
  if (entry.xattrs.size === 0) return entry.xattrs;
  const kept = new Map<string, Buffer>();
  for (const [key, value] of entry.xattrs) {
    if (!isImageXattr(key)) continue;
    if (key.length > XATTR_KEY_BYTES_MAX || value.length > XATTR_VALUE_BYTES_MAX)
      throw invalidEntry(path, 'has an attribute that is too large');
    kept.set(key, value);
  }
  return kept;
}

export function invalidEntry(path: ByteString, reason: string): TsbuildError {
  return invalidTar(`${path === '' ? '/' : display(path)} ${reason}`);
}

export function invalidTar(reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a layer: ${reason}`);
}
