/**
 * Changes written to an upper directory, and told again as `overlayDiff` would find them there: so that a layer is packed while its
 * files are written, of bytes that are in memory anyway. Each is looked at where it was written, by the code of overlay-diff.ts;
 * where that could see something else later, the telling ends, and the writing goes on.
 */
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { fileNodeAt } from '../sys/file-node.ts';
import { O_PATH, openBeneath } from '../sys/open.ts';
import { isOpaqueAt, isWhiteout } from '../sys/overlay-marks.ts';
import { statAt } from '../sys/stat.ts';
import { type ByteString, nameOf, parentOf } from '../tree/byte-string.ts';
import type { AddChange, Change, Changeset } from '../tree/change.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { type ApplyChangesOptions, applyChange, beginChanges, type WrittenFile } from './apply-changes.ts';
import { type Diff, diffFile, type Facts, factsAt, isUnchanged } from './overlay-diff.ts';
import { isSameNode, isSameXattrs } from './same-node.ts';
import type { UpperDirectory } from './upper-directory.ts';

export type WritingOptions = ApplyChangesOptions & { readonly lower: FileTree };

/** Comes once, where what was written is no longer certain to be found as it would be told. */
export const UNCERTAIN = Symbol('uncertain');

/** Applies the changes as `applyChanges` does. What it tells has its content until the next is asked for. */
export async function* writtenChanges(
  changes: Changeset,
  upperFd: number,
  options: WritingOptions,
): AsyncGenerator<Change | typeof UNCERTAIN, void, undefined> {
  using work = beginChanges(upperFd, options);
  const observer = new Observer(work.upper, { upper: upperFd, lower: options.lower, links: new Map() });
  let isTelling = true;
  for await (const change of changes) {
    options.signal?.throwIfAborted();
    if (!isTelling) {
      await applyChange(work, change);
      continue;
    }
    for (const above of observer.enter(change)) yield above;
    const file = await applyChange(work, change);
    const found = observer.find(change, file);
    if (found !== undefined) yield found;
    isTelling = observer.isCertain;
    if (!isTelling) yield UNCERTAIN;
  }
  work.lost.tell();
}

interface Directory {
  readonly path: ByteString;
  /** Whether new files have attributes of it: a default ACL (acl(5)). */
  readonly passesOn: boolean;
}

const NOTHING: readonly Change[] = [];
/** Content is opened from the root: the walk may be elsewhere by then. */
const visit = { isOver: true };

class Observer {
  isCertain = true;
  readonly #upper: UpperDirectory;
  readonly #diff: Diff;
  /** The directories from the root to where the walk is; all have been told. */
  readonly #inside: Directory[] = [];
  /** The place of the last change in the order of a walk. */
  #last: string | undefined;
  /** Files that are as they are below, and so no part of the layer. */
  readonly #unchanged = new Set<ByteString>();
  /** What the next hard link leads to, before it is made. */
  #target: Facts | undefined;

  constructor(upper: UpperDirectory, diff: Diff) {
    this.#upper = upper;
    this.#diff = diff;
  }

  /** Before the change is applied: the directories on the way to it, as far as they are changes. */
  enter(change: Change): readonly Change[] {
    // A walk goes into a directory before it goes on to the next name.
    const place = change.path.replaceAll('/', '\0');
    if (change.kind !== 'add' || (this.#last !== undefined && place <= this.#last)) return this.#giveUp() ?? NOTHING;
    this.#last = place;
    if (change.path === '' || change.node.type === 'socket') return NOTHING;
    const above = this.#enterDirectory(parentOf(change.path));
    this.#target = change.hardLinkTo === undefined ? undefined : this.#factsOf(change.hardLinkTo);
    return this.isCertain ? above : NOTHING;
  }

  /** The change, when it has been applied; undefined where it is none against what is below. */
  find(change: Change, file: WrittenFile | undefined): AddChange | undefined {
    if (!this.isCertain || change.kind !== 'add' || change.node.type === 'socket') return undefined;
    const found = change.node.type === 'directory' ? this.#directory(change.path) : this.#file(change, file);
    return this.#upper.hasCleared ? this.#giveUp() : found;
  }

  #giveUp(): undefined {
    this.isCertain = false;
    return undefined;
  }

  #enterDirectory(path: ByteString): readonly Change[] {
    if (this.#inside.at(-1)?.path === path) return NOTHING;
    const found: Change[] = [];
    const names = path === '' ? [] : path.split('/');
    for (let depth = 0; depth <= names.length; depth++) {
      const at = names.slice(0, depth).join('/') as ByteString;
      if (this.#inside[depth]?.path === at) continue;
      this.#inside.length = depth;
      // A link leads elsewhere.
      if (this.#upper.enter(at).path !== at) this.#giveUp();
      const directory = this.#directory(at);
      if (!this.isCertain) return NOTHING;
      if (directory !== undefined) found.push(directory);
    }
    this.#inside.length = names.length + 1;
    return found;
  }

  #directory(path: ByteString): AddChange | undefined {
    const place = this.#upper.enter(parentOf(path));
    const name = nameOf(path);
    const stat = statAt(place.fd, name);
    const below = this.#upper.lowerNode(place, name);
    if (stat?.type !== 'directory' || (below?.type === 'directory' && isOpaqueAt(place.fd, name))) return this.#giveUp();
    const { node, xattrs } = factsAt({ dir: place.fd, name, path }, stat);
    this.#inside.push({ path, passesOn: xattrs.has('system.posix_acl_default') });
    const entry = { dir: place.fd, visit, name, path, below };
    return isUnchanged(this.#diff, entry, { node, xattrs }) ? undefined : { kind: 'add', path, node, xattrs };
  }

  #file(change: AddChange, file: WrittenFile | undefined): AddChange | undefined {
    const { path, xattrs } = change;
    const place = this.#upper.enter(parentOf(path));
    const name = nameOf(path);
    const stat = file?.stat ?? statAt(place.fd, name);
    if (stat === undefined || stat.type === 'directory' || stat.type === 'socket' || isWhiteout(stat)) return this.#giveUp();
    const below = this.#upper.lowerNode(place, name);
    if (change.hardLinkTo !== undefined) return this.#link(path, change.hardLinkTo, factsAt({ dir: place.fd, name, path }, stat));
    if (below === undefined && file?.bytes?.length === stat.size && xattrs.size === 0 && this.#inside.at(-1)?.passesOn === false) {
      const node = fileNodeAt(place.fd, name, stat);
      return { kind: 'add', path, node, xattrs, ...(node.type === 'file' ? { content: { kind: 'bytes', bytes: file.bytes } } : {}) };
    }
    const found = diffFile(this.#diff, { dir: place.fd, visit, name, path, below }, stat);
    if (found !== undefined) return found;
    this.#unchanged.add(path);
    return undefined;
  }

  /** Its first name must have been told, as the same: a description of one name changes all. */
  #link(path: ByteString, first: ByteString, { node, xattrs }: Facts): AddChange | undefined {
    const { links } = this.#diff;
    const before = this.#target;
    if (before === undefined || node.inode === undefined || this.#unchanged.has(first)) return this.#giveUp();
    if (!isSameNode(node, before.node) || !isSameXattrs(xattrs, before.xattrs)) return this.#giveUp();
    if ((links.get(node.inode) ?? first) !== first) return this.#giveUp();
    links.set(node.inode, first);
    return { kind: 'add', path, node, xattrs, hardLinkTo: first };
  }

  /** Of a file in the upper directory. */
  #factsOf(path: ByteString): Facts | undefined {
    let dir: number | undefined;
    try {
      dir = openBeneath(this.#diff.upper, parentOf(path), O_PATH | constants.O_DIRECTORY);
      const stat = statAt(dir, nameOf(path));
      return stat && factsAt({ dir, name: nameOf(path), path }, stat);
    } catch (error) {
      if (error instanceof SyscallError) return undefined;
      throw error;
    } finally {
      if (dir !== undefined) closeSync(dir);
    }
  }
}
