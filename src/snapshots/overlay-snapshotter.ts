/** Snapshots as overlay layers: what snapshotter.ts promises. */
import { closeSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodeOf, TsbuildError } from '../errors.ts';
import { AT_FDCWD, openDirectory } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { markUsed } from '../sys/use-mark.ts';
import { fromText } from '../tree/byte-string.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { claim, dropSnapshot, removeClaimed, type SnapshotPaths } from './collect-garbage.ts';
import { describeDirectory, describeLike } from './describe-directory.ts';
import { flatten, LAYERS_MAX } from './flat-layer.ts';
import { type HeldLock, lockBriefly, makeLocked, tryLock } from './locks.ts';
import { openMergedTree } from './merged-tree.ts';
import { FLAT, FLAT_SEAL, noteLinks, openSeals, type Seals, sealOf, writeFlatSeal } from './seals.ts';
import { idOf, newId } from './snapshot-id.ts';
import { INFO_FILE, readSnapshotInfo, writeSnapshotInfo } from './snapshot-info.ts';
import type { ActiveSnapshot, OverlayMount, Snapshot, SnapshotAbout, Snapshotter } from './snapshotter.ts';
import { UnsoundSnapshot } from './unsound-snapshot.ts';
import { wholeChains } from './whole-chains.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,200}$/;

/** What an active snapshot holds: its own lock, and a shared one on its parent. */
interface Hold {
  readonly own: HeldLock;
  readonly parent: HeldLock | undefined;
  readonly below: readonly Layer[];
}

/** A directory of a stack, relative to that of all snapshots. */
interface Layer {
  readonly snapshot: Snapshot;
  readonly path: string;
}

export class OverlaySnapshotter implements Snapshotter {
  readonly directory: string;
  private readonly paths: SnapshotPaths;
  private readonly bootId: string;
  private readonly pin: (name: string) => void;
  private readonly known = new Map<string, Snapshot>();
  /** IDs of snapshots whose merged files are one directory. */
  private readonly flat = new Set<string>();
  private readonly marked = new Set<string>();
  private whole = wholeChains((name) => this.get(name));
  private readonly seals: Seals;
  /** By name: those that this process has taken away. */
  private readonly unsound = new Map<string, UnsoundSnapshot>();
  private readonly holds = new Map<ActiveSnapshot, Hold>();

  constructor(paths: SnapshotPaths, bootId: string, pin: (name: string) => void) {
    this.pin = pin;
    this.directory = paths.directory;
    this.paths = paths;
    this.bootId = bootId;
    this.seals = openSeals(paths.directory);
  }

  isWhole(name: string): boolean {
    return this.whole(name);
  }

  get(name: string): Snapshot | undefined {
    this.pin(checkName(name));
    const found = this.find(name);
    if (found !== undefined) this.markUsed(found);
    return found;
  }

  private find(name: string): Snapshot | undefined {
    const id = idOf(join(this.paths.names, checkName(name)));
    if (id === undefined) return undefined;
    const known = this.known.get(id);
    if (known?.name === name) return known;
    const info = readSnapshotInfo(join(this.directory, id));
    // A name that leads to another's directory is none.
    if (info?.name !== name || !existsSync(join(this.directory, id, 'fs'))) return undefined;
    const snapshot: Snapshot = { name, id, parent: info.parent, createdAt: info.createdAt };
    this.known.set(id, snapshot);
    return snapshot;
  }

  chain(name: string): Snapshot[] {
    return [...this.downwards(name)].reverse();
  }

  /** From the snapshot down to the one that stands on nothing; pinned by its first. */
  private *downwards(name: string): Generator<Snapshot> {
    this.pin(checkName(name));
    for (let at: string | undefined = name; at !== undefined; ) {
      const snapshot = this.find(at);
      if (snapshot === undefined) throw this.unsound.get(at) ?? notThere(name, `${at} is`);
      yield snapshot;
      at = snapshot.parent;
    }
  }

  /** Directories that show the snapshot's files when they are merged, the top one first; made fewer where they are many. */
  private stack(name: string | undefined): Layer[] {
    const stack: Layer[] = [];
    for (const snapshot of name === undefined ? [] : this.downwards(name)) {
      const { id } = snapshot;
      const isFlat = this.flat.has(id) || isThere(join(this.directory, id));
      stack.push({ snapshot, path: `${id}/${isFlat ? FLAT : 'fs'}` });
      if (!isFlat) continue;
      this.flat.add(id);
      break;
    }
    return name === undefined || stack.length <= LAYERS_MAX ? stack : [this.flatten(this.need(name), stack)];
  }

  /** Beside the snapshot's own files, and so as long as those are there. Another process may have been first. */
  private flatten(snapshot: Snapshot, stack: readonly Layer[]): Layer {
    const flat = { snapshot, path: `${snapshot.id}/${FLAT}` };
    const directory = join(this.directory, snapshot.id);
    using _hold = this.holdSnapshot(snapshot);
    for (const { snapshot: below, path } of stack) {
      if (!this.seals.isSound(path)) throw this.drop(below, path);
      if (path.endsWith(FLAT)) continue;
      // Others who stand on it may do the same at the same time.
      using _lock = lockBriefly(this.paths.lock, 'exclusive');
      noteLinks(join(this.directory, below.id));
    }
    const active = this.prepare(undefined);
    try {
      using tree = openMergedTree({ layers: this.openLayers(pathsOf(stack)), top: 'fixed' });
      flatten(tree, active.upperFd);
      const own = join(this.directory, active.id);
      const seal = sealOf(join(own, 'fs'));
      using _lock = lockBriefly(this.paths.lock, 'exclusive');
      if (isThere(directory)) return flat;
      // One without a seal, of a process that was killed, or that is no good.
      if (existsSync(join(directory, FLAT))) renameSync(join(directory, FLAT), join(own, 'old'));
      renameSync(join(own, 'fs'), join(directory, FLAT));
      writeFlatSeal(directory, seal);
      this.seals.vouch(flat.path);
    } finally {
      this.discard(active);
    }
    return flat;
  }

  async check(name: string | undefined): Promise<void> {
    if (name === undefined) return;
    const snapshot = this.need(name);
    await this.checkLayers([{ snapshot, path: `${snapshot.id}/fs` }, ...this.stack(name)]);
  }

  async checkBelow(active: ActiveSnapshot): Promise<void> {
    await this.checkLayers(this.holds.get(active)?.below ?? []);
  }

  private async checkLayers(layers: readonly Layer[]): Promise<void> {
    const sound = await Promise.all(layers.map(({ path }) => this.seals.check(path)));
    for (const [i, { snapshot, path }] of layers.entries()) if (sound[i] === false) throw this.drop(snapshot, path);
  }

  /** From now on nobody finds it, nor what stands on it; who has it open keeps it. */
  private drop({ name, id }: Snapshot, path: string): UnsoundSnapshot {
    const error = new UnsoundSnapshot({ name, purpose: readSnapshotInfo(join(this.directory, id))?.purpose });
    if (path.endsWith(FLAT)) {
      rmSync(join(this.directory, id, FLAT_SEAL), { force: true });
      this.flat.delete(id);
      return error;
    }
    dropSnapshot(this.paths, name, id);
    this.unsound.set(name, error);
    this.whole = wholeChains((other) => this.get(other));
    return error;
  }

  private need(name: string): Snapshot {
    const snapshot = this.get(name);
    if (snapshot === undefined) throw this.unsound.get(name) ?? notThere(name, 'it is');
    return snapshot;
  }

  prepare(parent: string | undefined): ActiveSnapshot {
    const layers = this.stack(parent);
    for (const { path } of layers) this.seals.check(path);
    const below = parent === undefined ? undefined : this.need(parent);
    using _lock = lockBriefly(this.paths.lock, 'shared');
    const { name: id, lock: own } = makeLocked(this.directory, newId);
    const directory = join(this.directory, id);
    const hold: { own: HeldLock; parent: HeldLock | undefined; below: readonly Layer[] } = { own, parent: undefined, below: layers };
    let upperFd: number | undefined;
    try {
      hold.parent = this.holdSnapshot(below);
      for (const name of ['fs', 'work', 'merged', ...(below === undefined ? ['lower'] : [])])
        mkdirSync(join(directory, name), { mode: 0o700 });
      upperFd = openDirectory(fromText(join(directory, 'fs')));
      this.describeRoot(upperFd, below);
    } catch (error) {
      // The directory stays for the next collection: the disk may be full.
      if (upperFd !== undefined) closeSync(upperFd);
      hold.parent?.[Symbol.dispose]();
      own[Symbol.dispose]();
      throw error;
    }
    const active: ActiveSnapshot = { id, parent: below, lower: pathsOf(layers), upperFd };
    this.holds.set(active, hold);
    return active;
  }

  commit(active: ActiveSnapshot, name: string, { purpose, createdAt = new Date().toISOString() }: SnapshotAbout = {}): Snapshot {
    const hold = this.holds.get(active);
    if (hold === undefined) throw new Error(`The snapshot ${active.id} is not active`);
    const directory = join(this.directory, active.id);
    const parent = active.parent?.name;
    for (const left of ['work', 'merged', 'lower', 'scratch']) removeTree(AT_FDCWD, fromText(join(directory, left)));
    // By now: whiteouts are links to one in `work`, whose going changes their ctime.
    const seal = sealOf(join(directory, 'fs'));
    writeSnapshotInfo(directory, { name, parent, createdAt, bootId: this.bootId, purpose, seal });
    this.pin(checkName(name));
    // A collection looks at names first and at directories then: a name that came in between would lose its directory.
    using _lock = lockBriefly(this.paths.lock, 'shared');
    // Whoever finds the name stands on it at once, and is not to find it locked.
    hold.own[Symbol.dispose]();
    for (;;) {
      try {
        symlinkSync(join('..', 'd', active.id), join(this.paths.names, name));
        break;
      } catch (error) {
        if (errorCodeOf(error) !== 'EEXIST') throw error;
      }
      const theirs = this.find(name);
      if (theirs !== undefined) {
        this.discard(active);
        return theirs;
      }
      this.unlinkName(name); // it leads nowhere
    }
    this.release(active, hold);
    const snapshot = { name, id: active.id, parent, createdAt };
    this.known.set(active.id, snapshot);
    this.seals.vouch(`${active.id}/fs`);
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
    const hold = this.holdSnapshot(this.need(name));
    try {
      return openMergedTree({ layers: this.openLayers(pathsOf(this.stack(name))), top: 'fixed', ...(hold === undefined ? {} : { hold }) });
    } catch (error) {
      hold?.[Symbol.dispose]();
      throw error;
    }
  }

  activeTree(active: ActiveSnapshot): FileTree & Disposable {
    const own = openDirectory(fromText(join(this.directory, active.id, 'fs')));
    return openMergedTree({ layers: [own, ...this.openLayers(active.lower)], top: 'changing' });
  }

  upper(name: string): number {
    return openDirectory(fromText(join(this.directory, this.need(name).id, 'fs')));
  }

  overlay(active: ActiveSnapshot): OverlayMount {
    const { id } = active;
    const lower = active.lower.length === 0 ? [`${id}/lower`] : active.lower;
    return { cwd: this.directory, lower, upper: `${id}/fs`, work: `${id}/work`, merged: `${id}/merged` };
  }

  layers(name: string | undefined): Pick<OverlayMount, 'cwd' | 'lower'> {
    return { cwd: this.directory, lower: pathsOf(this.stack(name)) };
  }

  scratch(active: ActiveSnapshot): string {
    const scratch = `${active.id}/scratch`;
    mkdirSync(join(this.directory, scratch), { recursive: true, mode: 0o700 });
    const path = `${scratch}/${newId()}`;
    mkdirSync(join(this.directory, path), { mode: 0o700 });
    return path;
  }

  names(): string[] {
    return readdirSync(this.paths.names).sort();
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

  private openLayers(stack: readonly string[]): number[] {
    const layers: number[] = [];
    try {
      for (const path of stack) layers.push(openDirectory(fromText(join(this.directory, path))));
    } catch (error) {
      for (const layer of layers) closeSync(layer);
      throw error;
    }
    return layers;
  }

  /** A mount shows its upper directory's root: it starts as the parent's is. */
  private describeRoot(fd: number, parent: Snapshot | undefined): void {
    if (parent !== undefined) describeLike(fd, fromText(join(this.directory, parent.id, 'fs')));
    else describeDirectory(fd, { node: { uid: 0, gid: 0, mode: 0o755, mtimeNs: 0n }, xattrs: new Map() });
  }

  /** Once each hour, and once for each snapshot of this process. */
  private markUsed({ id }: Snapshot): void {
    if (this.marked.has(id)) return;
    this.marked.add(id);
    const file = join(this.directory, id, INFO_FILE);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined) markUsed(file, stat);
  }

  private unlinkName(name: string): void {
    try {
      unlinkSync(join(this.paths.names, name));
    } catch (error) {
      if (errorCodeOf(error) !== 'ENOENT') throw error;
    }
  }
}

function pathsOf(layers: readonly Layer[]): string[] {
  return layers.map(({ path }) => path);
}

/** Whether there is a flat directory that counts. */
function isThere(directory: string): boolean {
  return existsSync(join(directory, FLAT_SEAL)) && existsSync(join(directory, FLAT));
}

function notThere(name: string, what: string): TsbuildError {
  return new TsbuildError('STORE_INVALID', `Cannot use the snapshot ${name}: ${what} not there`);
}

/** A name is a file name here: it comes from digests, never from users. */
function checkName(name: string): string {
  if (!NAME.test(name)) throw new Error(`Not a snapshot name: ${name}`);
  return name;
}
