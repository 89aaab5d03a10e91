/**
 * What an overlay's upper directory changes against the tree below it (Documentation/filesystems/overlayfs.rst; OCI image-spec
 * layer.md). By descriptors throughout: no name that a step left behind is ever followed.
 */
import { closeSync, constants } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { fileNodeAt } from '../sys/file-node.ts';
import { openAt, openBeneath } from '../sys/open.ts';
import { isOpaqueAt, isWhiteout } from '../sys/overlay-marks.ts';
import { listDirectory, type Stat, statAt } from '../sys/stat.ts';
import { isImageXattr, listXattrsAt } from '../sys/xattr.ts';
import { type ByteString, display, join } from '../tree/byte-string.ts';
import type { AddChange, Change, Content } from '../tree/change.ts';
import { type FileNode, type FileTree, isEmpty, type Xattrs } from '../tree/file-tree.ts';
import { isSameContent } from './same-content.ts';
import { isSameNode, isSameXattrs } from './same-node.ts';

/** Two trees being compared. */
export interface Diff {
  readonly upper: number;
  readonly lower: FileTree;
  /** Inode to the first path that has it. */
  readonly links: Map<string, ByteString>;
}

export interface Facts {
  readonly node: FileNode;
  readonly xattrs: Xattrs;
}

/** Whether the walk is still in a directory. */
interface Visit {
  isOver: boolean;
}

/** One name in the upper directory. `below` says whether lower layers show at its place: is the parent a merged directory. */
export interface Entry {
  readonly dir: number;
  /** Of the directory `dir`, as long as it is open. */
  readonly visit: Visit;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly below: FileNode | undefined;
}

const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY;
/** Written only with redirect_dir and metacopy on, which the mounts of a build turn off; their content is elsewhere. */
const REFUSED_XATTRS = ['trusted', 'user'].flatMap((kind) => [`${kind}.overlay.redirect`, `${kind}.overlay.metacopy`]);
/** What an overlay makes of chattr +i and +a (Linux 5.14): the file in its upper directory is neither. */
const FIXED_XATTR = 'trusted.overlay.protattr';
const ROOT = '' as ByteString;

/**
 * Changes in the order of tree/change.ts. `upperFd` must stay open until the iteration ends, and content is opened below it.
 * Sockets, and names that are as they were in `lower`, yield nothing. Throws LAYER_INVALID where the directory was written by
 * an overlay with redirects.
 */
export function* overlayDiff(upperFd: number, lower: FileTree): Generator<Change, void, undefined> {
  const diff: Diff = { upper: upperFd, lower, links: new Map() };
  const stat = statAt(upperFd, ROOT);
  if (stat?.type !== 'directory') throw new Error('An upper directory is a directory');
  yield* diffDirectory(diff, { dir: upperFd, visit: { isOver: false }, name: ROOT, path: ROOT, below: lower.stat(ROOT) }, stat);
}

function* diffDirectory(diff: Diff, entry: Entry, stat: Stat): Generator<Change, void, undefined> {
  const fd = entry.path === '' ? entry.dir : openAt(entry.dir, entry.name, OPEN_DIRECTORY);
  const visit: Visit = { isOver: false };
  try {
    const { node, xattrs } = factsAt({ dir: fd, name: ROOT, path: entry.path }, stat);
    const merged = entry.below?.type === 'directory' ? entry.below : undefined;
    const hides = merged !== undefined && isOpaqueAt(fd, ROOT);
    const isOpaque = hides && !isEmpty(diff.lower, entry.path);
    if (isOpaque || !isUnchanged(diff, entry, { node, xattrs })) yield { kind: 'add', path: entry.path, node, xattrs };
    if (isOpaque) yield { kind: 'opaque', path: entry.path };
    for (const name of listDirectory(fd)) {
      const path = join(entry.path, name);
      const below = merged === undefined || hides ? undefined : diff.lower.stat(path);
      const child: Entry = { dir: fd, visit, name, path, below };
      const childStat = statAt(fd, name);
      if (childStat?.type === 'directory') yield* diffDirectory(diff, child, childStat);
      else {
        const change = childStat === undefined ? undefined : changeOf(diff, child, childStat);
        if (change !== undefined) yield change;
      }
    }
  } finally {
    visit.isOver = true;
    if (fd !== entry.dir) closeSync(fd);
  }
}

/** Of a name that is no directory. No generators here: most names are files, and one for each of them costs more than its stat. */
function changeOf(diff: Diff, entry: Entry, stat: Stat): Change | undefined {
  // A socket has no form in an archive; what it replaced is gone all the same.
  if (stat.type !== 'socket' && !isWhiteout(stat)) return diffFile(diff, entry, stat);
  return entry.below === undefined ? undefined : { kind: 'delete', path: entry.path };
}

/** Of what is no directory. */
export function diffFile(diff: Diff, entry: Entry, stat: Stat): AddChange | undefined {
  const { path } = entry;
  const { node, xattrs } = factsAt(entry, stat);
  const first = node.inode === undefined ? undefined : diff.links.get(node.inode);
  if (first !== undefined) return { kind: 'add', path, node, xattrs, hardLinkTo: first };
  if (isUnchanged(diff, entry, { node, xattrs })) return undefined;
  if (node.inode !== undefined) diff.links.set(node.inode, path);
  if (node.type !== 'file') return { kind: 'add', path, node, xattrs };
  return { kind: 'add', path, node, xattrs, content: contentOf(diff.upper, entry) };
}

/** Opens when asked to: from the root, where the walk has left the directory by then. */
function contentOf(upper: number, { dir, name, path, visit }: Entry): Content {
  return { kind: 'file', open: () => (visit.isOver ? openBeneath(upper, path, OPEN_FILE) : openAt(dir, name, OPEN_FILE)) };
}

/** What a layer says of one name beside its content. Throws LAYER_INVALID for a redirect. */
export function factsAt({ dir, name, path }: Pick<Entry, 'dir' | 'name' | 'path'>, stat: Stat): Facts {
  const node = fileNodeAt(dir, name, stat);
  const all = listXattrsAt(dir, name);
  if (all.size === 0) return { node, xattrs: all };
  for (const key of REFUSED_XATTRS) {
    if (all.has(key)) throw new TsbuildError('LAYER_INVALID', `Cannot read the changes in ${display(path)}: it has the attribute ${key}`);
  }
  const isFixed = all.has(FIXED_XATTR);
  for (const key of all.keys()) if (!isImageXattr(key)) all.delete(key);
  return { node: isFixed ? { ...node, isFixed } : node, xattrs: all };
}

/** A name that was copied up and is as before, such as a directory on the way to a change or a file opened for writing. */
export function isUnchanged(diff: Diff, entry: Entry, now: Facts): boolean {
  const { below, path } = entry;
  if (below === undefined || now.node.inode !== undefined) return false;
  // Almost every step changes the root's time; the peers leave the root out altogether.
  const node = path === '' ? { ...now.node, mtimeNs: below.mtimeNs } : now.node;
  if (!isSameNode(node, below)) return false;
  if (!isSameXattrs(now.xattrs, diff.lower.xattrs(path))) return false;
  return now.node.type !== 'file' || isSameContent(openBeneath(diff.upper, path, OPEN_FILE), diff.lower.open(path));
}
