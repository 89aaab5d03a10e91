/**
 * An overlay upper directory that changes are written to: a walk by descriptors that stays inside it, copies directories up
 * from the lower tree as the kernel would, and gives each directory its time when the walk leaves it.
 */
import { closeSync, constants } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { copyRange } from '../sys/copy.ts';
import { makeDirectoryAt, makeNodeAt, symlinkAt, unlinkAt } from '../sys/entries.ts';
import { setModeAt, setOwnerAt, setTimesAt } from '../sys/metadata.ts';
import { openAt } from '../sys/open.ts';
import { isOpaqueAt, isWhiteout, setOpaqueAt } from '../sys/overlay-marks.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { listDirectory, readLinkAt, type Stat, statAt } from '../sys/stat.ts';
import { removeXattrAt } from '../sys/xattr.ts';
import { type ByteString, display, join } from '../tree/byte-string.ts';
import type { FileNode, FileTree, Xattrs } from '../tree/file-tree.ts';
import type { LostAttributes } from './lost-attributes.ts';

/** A directory on the way, open until the walk goes elsewhere. `merged` says whether the lower tree shows in it. */
export interface UpperPlace {
  readonly fd: number;
  readonly name: ByteString;
  readonly path: ByteString;
  merged: boolean;
}

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const CREATE_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const ROOT = '' as ByteString;
/** As many links as the kernel follows (path_resolution(7)). */
const LINKS_MAX = 40;
/** PATH_MAX components of one character each, and then some: more is no honest tree. */
const DEPTH_MAX = 4096;
/** What a directory is that no entry describes. Its time is none, so that two unpackings are alike. */
const IMPLIED: FileNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };
const NO_XATTRS: Xattrs = new Map();

export class UpperDirectory implements Disposable {
  private readonly lower: FileTree | undefined;
  /** The directories from the root to where the walk is. */
  private readonly steps: UpperPlace[];
  /** What each directory's time must be, by path. */
  private readonly times = new Map<ByteString, bigint>();
  /** Whether something had to make way for a new entry. */
  hasCleared = false;

  private readonly lost: LostAttributes;

  /** `upperFd` stays the caller's. */
  constructor(upperFd: number, lower: FileTree | undefined, lost: LostAttributes) {
    this.lower = lower;
    this.lost = lost;
    const stat = statAt(upperFd, ROOT);
    if (stat?.type !== 'directory') throw new Error('An upper directory is a directory');
    this.steps = [{ fd: upperFd, name: ROOT, path: ROOT, merged: lower !== undefined }];
    this.times.set(ROOT, stat.mtimeNs);
  }

  /**
   * Goes to the directory `path`, following links in this layer and below it as inside a root, and makes what is missing:
   * with the lower tree's metadata where it has the directory. Throws LAYER_INVALID where a file is in the way.
   */
  enter(path: ByteString): UpperPlace {
    // Here already, as for most entries of an archive: a step's path has no link in it.
    const here = this.at(this.steps.length - 1);
    if (here.path === path) return here;
    const todo = path.split('/').reverse() as ByteString[];
    let depth = 0;
    let links = 0;
    while (todo.length > 0) {
      const name = todo.pop() as ByteString;
      if (name === '' || name === '.') continue;
      if (name === '..') {
        depth = Math.max(0, depth - 1);
        continue;
      }
      const target = this.step(depth, name);
      if (target === undefined) {
        depth++;
        continue;
      }
      if (++links > LINKS_MAX) throw invalid(path, 'too many symbolic links');
      if (target.startsWith('/')) depth = 0;
      todo.push(...(target.split('/').reverse() as ByteString[]));
    }
    this.leaveTo(depth);
    return this.at(depth);
  }

  /** What the lower tree shows at a name that the upper directory does not have. */
  lowerNode(place: UpperPlace, name: ByteString): FileNode | undefined {
    return place.merged ? this.lower?.stat(join(place.path, name)) : undefined;
  }

  /** Hides what the lower tree has in the directory. */
  hideLower(place: UpperPlace): void {
    if (!place.merged) return;
    setOpaqueAt(place.fd, ROOT);
    dropWhiteouts(place.fd);
    place.merged = false;
  }

  /** The same for a directory below the place. */
  hideLowerIn(place: UpperPlace, name: ByteString): void {
    this.open(place, name);
    const below = this.at(this.steps.length - 1);
    this.hideLower(below);
    this.leaveTo(this.steps.length - 2);
  }

  /** Makes way for a new entry. Says whether a directory in its place must hide the lower one: where this layer had it gone. */
  clear(place: UpperPlace, name: ByteString, stat: Stat | undefined): 'hides' | 'merges' {
    if (stat === undefined) return 'merges';
    this.hasCleared = true;
    removeTree(place.fd, name);
    if (stat.type === 'directory') {
      const path = join(place.path, name);
      for (const at of this.times.keys()) if (at === path || at.startsWith(`${path}/`)) this.times.delete(at);
    }
    return stat.type === 'directory' ? 'merges' : 'hides';
  }

  makeDirectory(place: UpperPlace, name: ByteString, entry: { node: FileNode; xattrs: Xattrs; lower: 'hides' | 'merges' }): void {
    makeDirectoryAt(place.fd, name, 0o700);
    if (entry.lower === 'hides') setOpaqueAt(place.fd, name);
    this.describeDirectory(place, name, entry);
  }

  /** Sets a directory's metadata; '' is the place itself. Its time is set again whenever the walk leaves it. */
  describeDirectory(place: UpperPlace, name: ByteString, { node, xattrs }: { node: FileNode; xattrs: Xattrs }): void {
    const path = name === '' ? place.path : join(place.path, name);
    setMetadata(place.fd, name, { path, node, xattrs }, this.lost);
    this.times.set(path, node.mtimeNs);
  }

  /** Brings a file of the lower tree, which is no directory, into the upper directory with all its metadata. */
  copyUp(place: UpperPlace, name: ByteString, node: FileNode): void {
    const path = join(place.path, name);
    const xattrs = this.lower?.xattrs(path) ?? NO_XATTRS;
    makeEntry(place.fd, name, node);
    if (node.type === 'file') this.copyContent(place.fd, name, { path, size: node.size });
    setMetadata(place.fd, name, { path, node, xattrs }, this.lost);
  }

  [Symbol.dispose](): void {
    this.leaveTo(-1);
  }

  private copyContent(dir: number, name: ByteString, from: { path: ByteString; size: number }): void {
    const source = this.lower?.open(from.path);
    if (source === undefined) return;
    try {
      const target = openAt(dir, name, constants.O_WRONLY | constants.O_NOFOLLOW);
      try {
        copyRange(source, target, from.size);
      } finally {
        closeSync(target);
      }
    } finally {
      closeSync(source);
    }
  }

  /** One component down from `depth`; returns a link's target instead where the name is one. */
  private step(depth: number, name: ByteString): ByteString | undefined {
    if (this.steps[depth + 1]?.name === name) return undefined;
    this.leaveTo(depth);
    const place = this.at(depth);
    if (depth >= DEPTH_MAX) throw invalid(place.path, 'directories are nested too deeply');
    const stat = statAt(place.fd, name);
    if (stat?.type === 'symlink') return readLinkAt(place.fd, name);
    if (stat === undefined || isWhiteout(stat)) {
      const lower = stat === undefined ? this.lowerNode(place, name) : undefined;
      if (lower?.type === 'symlink') return lower.linkTarget;
      this.makeMissing(place, name, { stat, lower });
    } else if (stat.type !== 'directory') {
      throw invalid(join(place.path, name), 'an entry needs it as a directory, and it is none');
    }
    this.open(place, name);
    return undefined;
  }

  private makeMissing(place: UpperPlace, name: ByteString, there: { stat: Stat | undefined; lower: FileNode | undefined }): void {
    const path = join(place.path, name);
    if (there.lower !== undefined && there.lower.type !== 'directory')
      throw invalid(path, 'an entry needs it as a directory, and it is none');
    const hides = this.clear(place, name, there.stat);
    const xattrs = there.lower === undefined ? NO_XATTRS : (this.lower?.xattrs(path) ?? NO_XATTRS);
    this.makeDirectory(place, name, { node: there.lower ?? IMPLIED, xattrs, lower: hides });
  }

  private open(place: UpperPlace, name: ByteString): void {
    const fd = openAt(place.fd, name, OPEN_DIRECTORY);
    const path = join(place.path, name);
    try {
      const merged = this.lowerNode(place, name)?.type === 'directory' && !isOpaqueAt(fd, ROOT);
      this.steps.push({ fd, name, path, merged });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  private at(depth: number): UpperPlace {
    const step = this.steps[depth];
    if (step === undefined) throw new Error('The walk is above its root');
    return step;
  }

  /** Closes what lies below `depth`; -1 is everything but the caller's own descriptor. */
  private leaveTo(depth: number): void {
    while (this.steps.length > depth + 1) {
      const step = this.steps.pop();
      if (step === undefined) return;
      try {
        const time = this.times.get(step.path);
        if (time !== undefined) setTimesAt(step.fd, ROOT, time);
      } finally {
        if (step.path !== '') closeSync(step.fd);
      }
    }
  }
}

/** Makes a name that is not there: an empty file, or a node with no metadata yet. */
export function makeEntry(dir: number, name: ByteString, node: FileNode): void {
  switch (node.type) {
    case 'file':
      closeSync(openAt(dir, name, CREATE_FILE, 0o600));
      return;
    case 'symlink':
      symlinkAt(node.linkTarget ?? ROOT, dir, name);
      return;
    case 'directory':
      makeDirectoryAt(dir, name, 0o700);
      return;
    default:
      makeNodeAt(dir, name, { type: node.type, mode: 0o600, ...node.device });
  }
}

/** What a name is to be; `path` for what is told of it. */
interface Described {
  readonly path: ByteString;
  readonly node: FileNode;
  readonly xattrs: Xattrs;
}

/** In this order: a new owner clears setuid and capabilities, and every change sets the time (chown(2), capabilities(7)). */
export function setMetadata(dir: number, name: ByteString, entry: Described, lost: LostAttributes): void {
  const { node } = entry;
  setOwnerAt(dir, name, node.uid, node.gid);
  if (node.type !== 'symlink') setModeAt(dir, name, node.mode);
  lost.set(dir, name, entry);
  setTimesAt(dir, name, node.mtimeNs);
}

/** The same for a file just made, and what it is then: what the kernel gave it as it must be is not set again. */
export function setMetadataOfNew(fd: number, entry: Described, lost: LostAttributes): Stat {
  const { node, xattrs } = entry;
  if (xattrs.size > 0) {
    setMetadata(fd, ROOT, entry, lost);
    return statOpen(fd);
  }
  const isForeign = node.uid !== 0 || node.gid !== 0;
  if (isForeign) setOwnerAt(fd, ROOT, node.uid, node.gid);
  if (isForeign || node.mode > 0o777) setModeAt(fd, ROOT, node.mode);
  setTimesAt(fd, ROOT, node.mtimeNs);
  const made = statOpen(fd);
  // The directory may give its files a group; the umask and a default ACL take from their mode.
  const isOwned = isForeign || (made.uid === 0 && made.gid === 0);
  if (isOwned && made.mode === node.mode) return made;
  if (!isOwned) setOwnerAt(fd, ROOT, 0, 0);
  setModeAt(fd, ROOT, node.mode);
  return statOpen(fd);
}

function statOpen(fd: number): Stat {
  const stat = statAt(fd, ROOT);
  if (stat === undefined) throw new Error('An open file has facts');
  return stat;
}

/**
 * Where nothing of the lower tree shows, the kernel reads the upper directory as it is, and a whiteout would be listed there as a
 * name that cannot be opened.
 */
function dropWhiteouts(fd: number): void {
  for (const name of listDirectory(fd)) {
    const stat = statAt(fd, name);
    if (stat === undefined) continue;
    if (isWhiteout(stat)) unlinkAt(fd, name, 'file');
    if (stat.type !== 'directory') continue;
    const below = openAt(fd, name, OPEN_DIRECTORY);
    try {
      dropWhiteouts(below);
      setTimesAt(below, ROOT, stat.mtimeNs);
    } finally {
      closeSync(below);
    }
  }
}

/** What an entry of an earlier description had and this one has not. */
export function dropXattrs(dir: number, name: ByteString, keys: Iterable<string>): void {
  for (const key of keys) removeXattrAt(dir, name, key);
}

function invalid(path: ByteString, reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot apply a layer at ${path === '' ? '/' : display(path)}: ${reason}`);
}
