/**
 * A tree of files copied into a directory, for a step to work on where no overlay can be mounted, and what has changed there since.
 * The changes are those that overlayDiff would have found; by descriptors, too: no name that a step left behind is ever followed.
 */
import { closeSync, constants } from 'node:fs';
import { fileNodeAt } from '../sys/file-node.ts';
import { setTimesAt } from '../sys/metadata.ts';
import { openAt, openBeneath } from '../sys/open.ts';
import { birthTimeAt, listDirectory, type Stat, statAt } from '../sys/stat.ts';
import { imageXattrsAt } from '../sys/xattr.ts';
import { type ByteString, join } from '../tree/byte-string.ts';
import type { Change } from '../tree/change.ts';
import { type FileNode, type FileTree, isEmpty } from '../tree/file-tree.ts';
import { wholeTree } from '../tree/whole-tree.ts';
import { applyChanges } from './apply-changes.ts';
import type { LossTelling } from './lost-attributes.ts';
import { isSameContent } from './same-content.ts';
import { isSameNode, isSameXattrs } from './same-node.ts';

export interface WorkingCopy {
  /** Its directory. */
  readonly fd: number;
  /** Of everything that was copied, as it was then. */
  readonly marks: ReadonlyMap<ByteString, Mark>;
  /** `shows`: whatever is written to a file changes its ctime. Writing through a mapping does not on a tmpfs. */
  readonly writing: 'shows' | 'may not show';
}

/** An inode as it was copied. Nobody can set a ctime. */
interface Mark {
  readonly ino: bigint;
  readonly ctimeNs: bigint;
  /** Of a directory: numbers of inodes are used again. */
  readonly birthNs: bigint;
}

export interface CopyOptions {
  readonly writing: WorkingCopy['writing'];
  readonly signal: AbortSignal;
  readonly losses: LossTelling;
}

const ROOT = '' as ByteString;
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY;
/** The kernel's clock for files goes on every 1 to 10 ms. */
const TICK_MS = 1;
const TICKS_MAX = 1000;

/** Copies `tree` into the empty directory `fd`, sharing content where the file system can. */
export async function makeWorkingCopy(tree: FileTree, fd: number, { writing, signal, losses }: CopyOptions): Promise<WorkingCopy> {
  await applyChanges(wholeTree(tree), fd, { signal, losses });
  const marks = new Map<ByteString, Mark>();
  let latest = 0n;
  for (const { dir, name, path, stat } of walk(fd, ROOT)) {
    const birthNs = stat.type === 'directory' ? birthTimeAt(dir, name) : 0n;
    marks.set(path, { ino: stat.ino, ctimeNs: stat.ctimeNs, birthNs });
    if (stat.ctimeNs > latest) latest = stat.ctimeNs;
  }
  await laterThan(latest, fd);
  return { fd, marks, writing };
}

/** What is written from now on has a later ctime. */
async function laterThan(ctimeNs: bigint, fd: number): Promise<void> {
  for (let tick = 0; tick < TICKS_MAX; tick++) {
    const stat = statAt(fd, ROOT);
    if (stat === undefined || stat.ctimeNs > ctimeNs) return;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    setTimesAt(fd, ROOT, stat.mtimeNs);
  }
}

interface Visited {
  readonly dir: number;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly stat: Stat;
}

/** All but the root, a directory before what is in it; `dir` is open until the next one is asked for. */
function* walk(fd: number, path: ByteString): Generator<Visited> {
  for (const name of listDirectory(fd)) {
    const stat = statAt(fd, name);
    if (stat === undefined) continue;
    const at = join(path, name);
    yield { dir: fd, name, path: at, stat };
    if (stat.type !== 'directory') continue;
    const below = openAt(fd, name, OPEN_DIRECTORY);
    try {
      yield* walk(below, at);
    } finally {
      closeSync(below);
    }
  }
}

interface Diff {
  readonly copy: WorkingCopy;
  /** What the changes are against. */
  readonly lower: FileTree;
  /** Paths of the copy that were not `lower`'s: for them a mark proves nothing. */
  readonly own: ReadonlySet<ByteString>;
  /** Inodes with a name that they did not have when they were copied. */
  readonly relinked: ReadonlySet<bigint>;
  /** Inode to the first path that has it. */
  readonly links: Map<string, ByteString>;
}

interface Entry {
  readonly dir: number;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly stat: Stat;
  readonly below: FileNode | undefined;
}

/**
 * Changes of the copy against `lower`, in the order of tree/change.ts; the root is always one. `own`: paths that the copied tree had
 * from elsewhere. The copy must stay as it is until the iteration has ended.
 */
export function* workingCopyDiff(copy: WorkingCopy, lower: FileTree, own: ReadonlySet<ByteString>): Generator<Change, void, undefined> {
  const relinked = new Set<bigint>();
  for (const { path, stat } of walk(copy.fd, ROOT)) {
    if (stat.type !== 'directory' && stat.nlink > 1 && copy.marks.get(path)?.ino !== stat.ino) relinked.add(stat.ino);
  }
  const diff: Diff = { copy, lower, own, relinked, links: new Map() };
  const stat = statAt(copy.fd, ROOT);
  if (stat === undefined) throw new Error('An open directory has facts');
  yield { kind: 'add', path: ROOT, node: fileNodeAt(copy.fd, ROOT, stat), xattrs: imageXattrsAt(copy.fd, ROOT) };
  yield* diffNames(diff, copy.fd, ROOT, 'merged');
}

function* diffDirectory(diff: Diff, entry: Entry): Generator<Change, void, undefined> {
  const { path, stat, below } = entry;
  const fd = openAt(entry.dir, entry.name, OPEN_DIRECTORY);
  try {
    const isMerged = below?.type === 'directory';
    const mark = diff.copy.marks.get(path);
    const isAnother = mark === undefined || mark.ino !== stat.ino || mark.birthNs !== birthTimeAt(fd, ROOT);
    const isOpaque = isMerged && isAnother && !isEmpty(diff.lower, path);
    if (isOpaque || !isSameAsBelow(diff, entry)) yield addition(entry);
    if (isOpaque) yield { kind: 'opaque', path };
    yield* diffNames(diff, fd, path, isMerged && !isOpaque ? 'merged' : 'new');
  } finally {
    closeSync(fd);
  }
}

/** Of a merged directory also the names that are gone. */
function* diffNames(diff: Diff, fd: number, path: ByteString, kind: 'merged' | 'new'): Generator<Change, void, undefined> {
  const names = new Set([...listDirectory(fd), ...(kind === 'merged' ? diff.lower.list(path) : [])]);
  for (const name of [...names].sort()) {
    const at = join(path, name);
    const below = kind === 'merged' ? diff.lower.stat(at) : undefined;
    const stat = statAt(fd, name);
    if (stat === undefined || stat.type === 'socket') {
      // A socket has no form in an archive, and was not copied either.
      if (below !== undefined && below.type !== 'socket') yield { kind: 'delete', path: at };
      continue;
    }
    const entry = { dir: fd, name, path: at, stat, below };
    if (stat.type === 'directory') yield* diffDirectory(diff, entry);
    else yield* diffFile(diff, entry);
  }
}

function* diffFile(diff: Diff, entry: Entry): Generator<Change, void, undefined> {
  const { path } = entry;
  const added = addition(entry);
  const { inode } = added.node;
  const first = inode === undefined ? undefined : diff.links.get(inode);
  if (first !== undefined) {
    yield { ...added, hardLinkTo: first };
    return;
  }
  if (isUnchanged(diff, entry)) return;
  if (inode !== undefined) diff.links.set(inode, path);
  yield added.node.type === 'file'
    ? { ...added, content: { kind: 'file', open: () => openBeneath(diff.copy.fd, path, OPEN_FILE) } }
    : added;
}

function isUnchanged(diff: Diff, entry: Entry): boolean {
  const { path, stat, below } = entry;
  const mark = diff.copy.marks.get(path);
  if (below === undefined || (stat.nlink > 1 && diff.relinked.has(stat.ino))) return false;
  const isProven = mark !== undefined && !diff.own.has(path) && diff.copy.writing === 'shows';
  if (isProven && mark.ino === stat.ino && mark.ctimeNs === stat.ctimeNs) return true;
  return isSameAsBelow(diff, entry);
}

function isSameAsBelow({ copy, lower }: Diff, entry: Entry): boolean {
  const { path, below } = entry;
  const { node, xattrs } = addition(entry);
  if (below === undefined || !isSameNode(node, below) || !isSameXattrs(xattrs, lower.xattrs(path))) return false;
  return node.type !== 'file' || isSameContent(openBeneath(copy.fd, path, OPEN_FILE), lower.open(path));
}

function addition({ dir, name, path, stat }: Entry): Extract<Change, { kind: 'add' }> {
  return { kind: 'add', path, node: fileNodeAt(dir, name, stat), xattrs: imageXattrsAt(dir, name) };
}
