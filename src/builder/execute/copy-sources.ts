/**
 * What a COPY takes: the source arguments resolved in their tree, as a list of roots with the name under which each
 * lands. Rules: Docker's reference manual, "COPY"; a link named as a source is followed inside the tree, the file
 * lands under the link's own name; a directory gives its contents, never itself.
 */
import type { ByteString } from '../../tree/byte-string.ts';
import { join, nameOf } from '../../tree/byte-string.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';

export interface CopySource {
  /** Clean path without links. */
  readonly path: ByteString;
  readonly node: FileNode;
  /** The last component as written or matched; '' for the tree's root. */
  readonly name: ByteString;
}

/** One file below a source: `relative` is '' for the source itself. */
export interface SourceEntry {
  readonly source: CopySource;
  readonly path: ByteString;
  readonly relative: ByteString;
  readonly node: FileNode;
}

/** undefined where nothing is at `path`. */
export function findSource(tree: FileTree, path: ByteString): CopySource | undefined {
  const { path: resolved, node } = resolvePath(tree, path, 'follow');
  return node === undefined ? undefined : { path: resolved, node, name: nameOf(cleanName(path)) };
}

/** A source and everything below it: a directory before its contents, names in byte order. */
export function* walkSource(tree: FileTree, source: CopySource): Generator<SourceEntry> {
  yield { source, path: source.path, relative: '' as ByteString, node: source.node };
  if (source.node.type === 'directory') yield* walkBelow(tree, source, '' as ByteString);
}

function* walkBelow(tree: FileTree, source: CopySource, relative: ByteString): Generator<SourceEntry> {
  const directory = relative === '' ? source.path : join(source.path, relative);
  for (const name of tree.list(directory)) {
    const path = join(directory, name);
    const node = tree.stat(path);
    if (node === undefined) continue;
    const below = join(relative, name);
    yield { source, path, relative: below, node };
    if (node.type === 'directory') yield* walkBelow(tree, source, below);
  }
}

/** Drops empty and `.` components and a trailing slash, so that `src/./` is named `src`. */
function cleanName(path: ByteString): ByteString {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/') as ByteString;
}
