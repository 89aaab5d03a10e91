/** Every file of a tree as a changeset: what makes the same tree in an empty directory. */
import { type ByteString, join } from './byte-string.ts';
import type { AddChange } from './change.ts';
import type { FileTree } from './file-tree.ts';

const ROOT = '' as ByteString;

export interface Part {
  /** What is copied; by default the root. */
  readonly from: ByteString;
  /** Its path then. */
  readonly into: ByteString;
}

/** A directory before what is in it, siblings in byte order; a later name of an inode is a hard link to the first one. */
export function* wholeTree(tree: FileTree, { from, into }: Part = { from: ROOT, into: ROOT }): Generator<AddChange> {
  const firstNames = new Map<string, ByteString>();
  const moved = (path: ByteString): ByteString =>
    path === from ? into : join(into, path.slice(from === '' ? 0 : from.length + 1) as ByteString);
  /** The directories that are being read: of a large one no list of paths is made. */
  const open: Iterator<ByteString>[] = [[from].values()];
  for (let paths = open.at(-1); paths !== undefined; paths = open.at(-1)) {
    const { done, value: path } = paths.next();
    const change = done === true ? undefined : entryAt(tree, path, firstNames);
    if (done === true) open.pop();
    if (change === undefined) continue;
    const { hardLinkTo, ...rest } = change;
    yield { ...rest, path: moved(change.path), ...(hardLinkTo === undefined ? {} : { hardLinkTo: moved(hardLinkTo) }) };
    if (change.node.type === 'directory') open.push(pathsIn(tree, change.path));
  }
}

function* pathsIn(tree: FileTree, dir: ByteString): Generator<ByteString, void, undefined> {
  for (const name of tree.list(dir)) yield join(dir, name);
}

function entryAt(tree: FileTree, path: ByteString, firstNames: Map<string, ByteString>): AddChange | undefined {
  const found = tree.stat(path);
  if (found === undefined) return undefined;
  const { inode, ...node } = found;
  const entry = { kind: 'add', path, node, xattrs: tree.xattrs(path) } as const;
  const hardLinkTo = inode === undefined ? undefined : firstNames.get(inode);
  if (hardLinkTo !== undefined) return { ...entry, hardLinkTo };
  if (inode !== undefined) firstNames.set(inode, path);
  if (node.type !== 'file') return entry;
  return { ...entry, content: { kind: 'file', open: () => tree.open(path) } };
}
