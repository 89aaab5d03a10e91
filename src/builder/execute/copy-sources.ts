/**
 * What a COPY takes: the source arguments resolved in their tree, as a list of roots with the name under which each
 * lands. Rules: Docker's reference manual, "COPY"; a link named as a source is followed inside the tree, the file
 * lands under the link's own name; a directory gives its contents, never itself.
 */
import { type IgnoreRules, ignored, mayIncludeInside } from '../../context/ignore-file.ts';
import { type ByteString, join, nameOf, toText } from '../../tree/byte-string.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';

export interface CopySource {
  /** Clean path without links. */
  readonly path: ByteString;
  readonly node: FileNode;
  /** The last component as written or matched; '' for the tree's root. */
  readonly name: ByteString;
  /** `--parents`: it keeps its place. */
  readonly place?: SourcePlace;
  /** `--exclude`: what a directory gives less; patterns are relative to it, or to the destination where sources keep their place. */
  readonly exclude?: IgnoreRules;
}

/** Where a source lands below the destination, and the directories on the way there, which are copied with it. */
export interface SourcePlace {
  readonly path: ByteString;
  readonly parents: readonly SourceParent[];
}

export interface SourceParent {
  /** Below the destination. */
  readonly place: ByteString;
  /** In the tree, without links. */
  readonly path: ByteString;
  readonly node: FileNode;
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
  yield* walkEntry(tree, { source, path: source.path, relative: '' as ByteString, node: source.node });
}

function* walkEntry(tree: FileTree, entry: SourceEntry): Generator<SourceEntry> {
  if (isExcluded(entry)) yield* walkTakenBack(tree, entry);
  else {
    yield entry;
    if (entry.node.type === 'directory') yield* walkBelow(tree, entry);
  }
}

function* walkBelow(tree: FileTree, { source, path: directory, relative }: SourceEntry): Generator<SourceEntry> {
  for (const name of tree.list(directory)) {
    const path = join(directory, name);
    const node = tree.stat(path);
    if (node !== undefined) yield* walkEntry(tree, { source, path, relative: join(relative, name), node });
  }
}

function isExcluded(entry: SourceEntry): boolean {
  const { exclude } = entry.source;
  const path = excludePath(entry);
  return exclude !== undefined && path !== '' && ignored(exclude, path).ignored;
}

/** What patterns are matched against; '' for a source that does not keep its place: it was named, so it is wanted. */
function excludePath({ source: { place }, relative }: SourceEntry): string {
  if (place === undefined) return toText(relative);
  return toText(relative === '' ? place.path : join(place.path, relative));
}

/** Of an excluded directory, what a `!` pattern takes back in; the directory itself then, too. */
function* walkTakenBack(tree: FileTree, entry: SourceEntry): Generator<SourceEntry> {
  const { exclude } = entry.source;
  if (entry.node.type !== 'directory' || exclude === undefined || !mayIncludeInside(exclude, excludePath(entry))) return;
  let isTaken = false;
  for (const inside of walkBelow(tree, entry)) {
    if (!isTaken) yield entry;
    isTaken = true;
    yield inside;
  }
}

/** Drops empty and `.` components and a trailing slash, so that `src/./` is named `src`. */
function cleanName(path: ByteString): ByteString {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/') as ByteString;
}
