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
  const waiting: ByteString[] = [from];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const change = entryAt(tree, path, firstNames);
    if (change === undefined) continue;
    const { hardLinkTo, ...rest } = change;
    yield { ...rest, path: moved(path), ...(hardLinkTo === undefined ? {} : { hardLinkTo: moved(hardLinkTo) }) };
    if (change.node.type !== 'directory') continue;
    for (const name of tree.list(path).reverse()) waiting.push(join(path, name));
  }
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
