/**
 * Snapshots of file systems as overlay layers. On the disk: `d/<id>/{fs,info.json,lock}` and, while a step works on it,
 * `work`, `merged` and `scratch`; `names/<name>` is a symbolic link to `../d/<id>`, and making it is the commit.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { fileNodeAt } from '../sys/file-node.ts';
import { idScope, ownIds } from '../sys/ids.ts';
import { setModeAt, setOwnerAt, setTimesAt, syncFileSystem } from '../sys/metadata.ts';
import { AT_FDCWD, openDirectory } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { statAt } from '../sys/stat.ts';
import { imageXattrsAt, setXattrAt } from '../sys/xattr.ts';
import { type ByteString, fromText } from '../tree/byte-string.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { claim, collectGarbage, currentBootId, removeClaimed, type SnapshotPaths } from './collect-garbage.ts';
import { type HeldLock, lockBriefly, tryLock } from './locks.ts';
import { openMergedTree } from './merged-tree.ts';
import { readSnapshotInfo, type Snapshot, writeSnapshotInfo } from './snapshot-info.ts';

export type { Snapshot } from './snapshot-info.ts';

/** A directory in the making, of this process alone. */
export interface ActiveSnapshot {
  readonly id: string;
  /** The layers below it, bottom first. */
  readonly parents: readonly Snapshot[];
  /** Its directory for an overlay's upper layer; open as long as it is active. */
  readonly upperFd: number;
}

/** Paths relative to `cwd`, short, since a mount takes few of them (mount(2): one page). */
export interface OverlayMount {
  readonly cwd: string;
  /** Top first, never empty. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
}

export interface Snapshotter extends Disposable {
  /** Absolute: the directory that the paths of `overlay` are relative to. */
  readonly directory: string;
  /** Committed snapshots only. */
  get(name: string): Snapshot | undefined;
  /** The snapshot and all below it, bottom first. Throws STORE_INVALID where one is missing. */
  chain(name: string): Snapshot[];
  prepare(parent: string | undefined): ActiveSnapshot;
  /** Gives it its name. Where the name exists, because another process won, ours is dropped and theirs returned. */
  commit(active: ActiveSnapshot, name: string): Snapshot;
  /** Fine after a commit, and when called twice. */
  discard(active: ActiveSnapshot): void;
  /** The merged view, without a mount; undefined is the empty root. */
  tree(name: string | undefined): FileTree & Disposable;
  /** The same with the upper directory as it is at each call. */
  activeTree(active: ActiveSnapshot): FileTree & Disposable;
  /** A committed snapshot's own directory; the caller closes it. */
  upper(name: string): number;
  overlay(active: ActiveSnapshot): OverlayMount;
  /** The layers of a committed snapshot, for a mount of them; none of the empty root. */
  layers(name: string | undefined): Pick<OverlayMount, 'cwd' | 'lower'>;
  /** A new directory beside the active snapshot, relative to `directory`: gone with the commit or the discard. */
  scratch(active: ActiveSnapshot): string;
  /** Absent is fine. Throws STORE_INVALID where other snapshots, or running steps, are built on it. */
  remove(name: string): void;
  names(): string[];
  /** Writes the snapshots and what they are built on to the disk, so that they survive a crash of the machine. */
  sync(names: readonly string[]): void;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,200}$/;
const ROOT = '' as ByteString;

/** `root` is the state directory; made with mode 0700 what is missing in it. Removes what crashed processes left. */
export function openSnapshotter(root: string): Snapshotter {
  const base = join(root, marksAreShared() ? 'snapshots' : 'snapshots-userns');
  const paths = { directory: join(base, 'd'), names: join(base, 'names'), lock: join(base, 'lock'), boot: join(base, 'boot') };
  for (const path of [paths.directory, paths.names]) mkdirSync(path, { recursive: true, mode: 0o700 });
  const bootId = currentBootId();
  collectGarbage(paths, bootId);
  return new OverlaySnapshotter(paths, bootId);
}

/** The machine's root has a state directory together with a root without privileges, who does not see marks in `trusted.*`. */
function marksAreShared(): boolean {
  return idScope() === 'machine' || ownIds('uid')[0]?.outside !== 0;
}

/** What an active snapshot holds: its own lock, and a shared one on its parent. */
interface Hold {
  readonly own: HeldLock;
  readonly parent: HeldLock | undefined;
}

class OverlaySnapshotter implements Snapshotter {
  readonly directory: string;
  private readonly paths: SnapshotPaths;
  private readonly bootId: string;
  private readonly known = new Map<string, Snapshot>();
  private readonly holds = new Map<ActiveSnapshot, Hold>();

  constructor(paths: SnapshotPaths, bootId: string) {
    this.directory = paths.directory;
    this.paths = paths;
    this.bootId = bootId;
  }

  get(name: string): Snapshot | undefined {
    const id = readLink(join(this.paths.names, checkName(name)));
    if (id === undefined) return undefined;
    const known = this.known.get(id);
    if (known !== undefined) return known;
    const info = readSnapshotInfo(join(this.directory, id));
    if (info === undefined) return undefined;
    const snapshot: Snapshot = { name, id, parent: info.parent, createdAt: info.createdAt };
    this.known.set(id, snapshot);
    return snapshot;
  }

  chain(name: string): Snapshot[] {
    const chain: Snapshot[] = [];
    for (let at: string | undefined = name; at !== undefined; ) {
      const snapshot = this.get(at);
      if (snapshot === undefined) throw new TsbuildError('STORE_INVALID', `Cannot use the snapshot ${name}: ${at} is not there`);
      chain.push(snapshot);
      at = snapshot.parent;
    }
    return chain.reverse();
  }

  prepare(parent: string | undefined): ActiveSnapshot {
    using _lock = lockBriefly(this.paths.lock, 'shared');
    const parents = parent === undefined ? [] : this.chain(parent);
    const id = newId();
    const directory = join(this.directory, id);
    mkdirSync(directory, { mode: 0o700 });
    const own = tryLock(join(directory, 'lock'), 'exclusive');
    if (own === undefined) throw new Error(`The new directory ${id} is locked`);
    const hold: { own: HeldLock; parent: HeldLock | undefined } = { own, parent: undefined };
    let upperFd: number | undefined;
    try {
      hold.parent = this.holdSnapshot(parents.at(-1));
      for (const name of ['fs', 'work', 'merged', ...(parents.length === 0 ? ['lower'] : [])])
        mkdirSync(join(directory, name), { mode: 0o700 });
      upperFd = openDirectory(fromText(join(directory, 'fs')));
      this.describeRoot(upperFd, parents.at(-1));
    } catch (error) {
      // The directory stays for the next collection: the disk may be full.
      if (upperFd !== undefined) closeSync(upperFd);
      hold.parent?.[Symbol.dispose]();
      own[Symbol.dispose]();
      throw error;
    }
    const active: ActiveSnapshot = { id, parents, upperFd };
    this.holds.set(active, hold);
    return active;
  }

  commit(active: ActiveSnapshot, name: string): Snapshot {
    const hold = this.holds.get(active);
    if (hold === undefined) throw new Error(`The snapshot ${active.id} is not active`);
    const directory = join(this.directory, active.id);
    const parent = active.parents.at(-1)?.name;
    const createdAt = new Date().toISOString();
    writeSnapshotInfo(directory, { name, parent, createdAt, bootId: this.bootId, synced: false });
    for (const left of ['work', 'merged', 'lower', 'scratch']) removeTree(AT_FDCWD, fromText(join(directory, left)));
    // A collection looks at names first and at directories then: a name that came in between would lose its directory.
    using _lock = lockBriefly(this.paths.lock, 'shared');
    for (;;) {
      try {
        symlinkSync(join('..', 'd', active.id), join(this.paths.names, checkName(name)));
        break;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      }
      const theirs = this.get(name);
      if (theirs !== undefined) {
        this.discard(active);
        return theirs;
      }
      this.unlinkName(name); // it leads nowhere
    }
    this.release(active, hold);
    const snapshot = { name, id: active.id, parent, createdAt };
    this.known.set(active.id, snapshot);
    return snapshot;
  }

  discard(active: ActiveSnapshot): void {
    const hold = this.holds.get(active);
    if (hold === undefined) return;
    this.release(active, hold);
    if (claim(this.paths, active.id)) removeClaimed(this.paths, active.id);
  }

  tree(name: string | undefined): FileTree & Disposable {
    if (name === undefined) return openMergedTree({ layers: [], top: 'fixed' });
    const chain = this.chain(name);
    const hold = this.holdSnapshot(chain.at(-1));
    try {
      return openMergedTree({ layers: this.openLayers(chain), top: 'fixed', ...(hold === undefined ? {} : { hold }) });
    } catch (error) {
      hold?.[Symbol.dispose]();
      throw error;
    }
  }

  activeTree(active: ActiveSnapshot): FileTree & Disposable {
    const own = openDirectory(fromText(join(this.directory, active.id, 'fs')));
    return openMergedTree({ layers: [own, ...this.openLayers(active.parents)], top: 'changing' });
  }

  upper(name: string): number {
    const snapshot = this.get(name);
    if (snapshot === undefined) throw new TsbuildError('STORE_INVALID', `Cannot use the snapshot ${name}: it is not there`);
    return openDirectory(fromText(join(this.directory, snapshot.id, 'fs')));
  }

  overlay(active: ActiveSnapshot): OverlayMount {
    const { id, parents } = active;
    const lower = parents.length === 0 ? [`${id}/lower`] : parents.map((parent) => `${parent.id}/fs`).reverse();
    return { cwd: this.directory, lower, upper: `${id}/fs`, work: `${id}/work`, merged: `${id}/merged` };
  }

  layers(name: string | undefined): Pick<OverlayMount, 'cwd' | 'lower'> {
    const chain = name === undefined ? [] : this.chain(name);
    return { cwd: this.directory, lower: chain.map(({ id }) => `${id}/fs`).reverse() };
  }

  scratch(active: ActiveSnapshot): string {
    const scratch = `${active.id}/scratch`;
    mkdirSync(join(this.directory, scratch), { recursive: true, mode: 0o700 });
    const path = `${scratch}/${newId()}`;
    mkdirSync(join(this.directory, path), { mode: 0o700 });
    return path;
  }

  remove(name: string): void {
    const id = this.unname(checkName(name));
    if (id !== undefined) removeClaimed(this.paths, id);
  }

  names(): string[] {
    return readdirSync(this.paths.names).sort();
  }

  sync(names: readonly string[]): void {
    const snapshots = new Set(names.flatMap((name) => (this.get(name) === undefined ? [] : this.chain(name))));
    const unsynced = [...snapshots].filter(({ id }) => readSnapshotInfo(join(this.directory, id))?.synced === false);
    if (unsynced.length === 0) return;
    const fd = openDirectory(fromText(this.directory));
    try {
      syncFileSystem(fd);
      for (const { id } of unsynced) {
        const info = readSnapshotInfo(join(this.directory, id));
        if (info !== undefined) writeSnapshotInfo(join(this.directory, id), { ...info, synced: true });
      }
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    for (const active of [...this.holds.keys()]) this.discard(active);
  }

  private release(active: ActiveSnapshot, hold: Hold): void {
    this.holds.delete(active);
    closeSync(active.upperFd);
    hold.parent?.[Symbol.dispose]();
    hold.own[Symbol.dispose]();
  }

  /** As long as it is held, the snapshot is not removed, and so nothing below it is. */
  private holdSnapshot(snapshot: Snapshot | undefined): HeldLock | undefined {
    if (snapshot === undefined) return undefined;
    const lock = tryLock(join(this.directory, snapshot.id, 'lock'), 'shared');
    if (lock === undefined) throw new TsbuildError('STORE_INVALID', `Cannot use the snapshot ${snapshot.name}: it is being removed`);
    return lock;
  }

  private openLayers(chain: readonly Snapshot[]): number[] {
    const layers: number[] = [];
    try {
      for (const { id } of chain.toReversed()) layers.push(openDirectory(fromText(join(this.directory, id, 'fs'))));
    } catch (error) {
      for (const layer of layers) closeSync(layer);
      throw error;
    }
    return layers;
  }

  /** A mount shows its upper directory's root: it starts as the parent's is. */
  private describeRoot(fd: number, parent: Snapshot | undefined): void {
    if (parent === undefined) {
      setOwnerAt(fd, ROOT, 0, 0);
      setModeAt(fd, ROOT, 0o755);
      setTimesAt(fd, ROOT, 0n);
      return;
    }
    const from = this.upper(parent.name);
    try {
      const stat = statAt(from, ROOT);
      if (stat === undefined) throw new Error('An open directory has facts');
      const { uid, gid } = fileNodeAt(from, ROOT, stat);
      setOwnerAt(fd, ROOT, uid, gid);
      setModeAt(fd, ROOT, stat.mode);
      for (const [key, value] of imageXattrsAt(from, ROOT)) setXattrAt(fd, ROOT, key, value);
      setTimesAt(fd, ROOT, stat.mtimeNs);
    } finally {
      closeSync(from);
    }
  }

  /** Takes the name away and the directory out of sight, if nothing needs it. */
  private unname(name: string): string | undefined {
    using _lock = lockBriefly(this.paths.lock, 'exclusive');
    const snapshot = this.get(name);
    if (snapshot === undefined) {
      this.unlinkName(name);
      return undefined;
    }
    const child = this.names().find((other) => this.get(other)?.parent === name);
    if (child !== undefined) throw new TsbuildError('STORE_INVALID', `Cannot remove the snapshot ${name}: ${child} is built on it`);
    using lock = tryLock(join(this.directory, snapshot.id, 'lock'), 'exclusive');
    if (lock === undefined) throw new TsbuildError('STORE_INVALID', `Cannot remove the snapshot ${name}: a build uses it`);
    this.unlinkName(name);
    this.known.delete(snapshot.id);
    lock[Symbol.dispose]();
    return claim(this.paths, snapshot.id) ? snapshot.id : undefined;
  }

  private unlinkName(name: string): void {
    try {
      unlinkSync(join(this.paths.names, name));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
}

/** The ID that a name leads to. */
function readLink(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A name is a file name here: it comes from digests, never from users. */
function checkName(name: string): string {
  if (!NAME.test(name)) throw new Error(`Not a snapshot name: ${name}`);
  return name;
}

/** 36^8 of them. */
function newId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from(randomBytes(8), (byte) => alphabet[byte % alphabet.length]).join('');
}
