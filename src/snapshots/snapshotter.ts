/**
 * Snapshots of file systems as overlay layers. On the disk: `d/<id>/{fs,info.json,lock}` and, while a step works on it,
 * `work`, `merged` and `scratch`; `flat` and its seal `flat.json` where many layers are below it; `names/<name>` is a symbolic link to `../d/<id>`, and making it is the commit.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { currentBootId } from '../sys/boot-id.ts';
import { idScope, ownIds } from '../sys/ids.ts';
import { spreadDirectories } from '../sys/top-directory.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { collectGarbage, snapshotPaths } from './collect-garbage.ts';
import { OverlaySnapshotter } from './overlay-snapshotter.ts';
import type { Snapshot, SnapshotPurpose } from './snapshot-info.ts';

export type { Snapshot } from './snapshot-info.ts';

/** A directory in the making, of this process alone. */
export interface ActiveSnapshot {
  readonly id: string;
  readonly parent: Snapshot | undefined;
  /** Directories of the layers below it, the top one first, relative to that of all snapshots; never more than LAYERS_MAX. */
  readonly lower: readonly string[];
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

export interface SnapshotAbout {
  readonly purpose?: SnapshotPurpose | undefined;
  /** RFC 3339, where its files are older. */
  readonly createdAt?: string | undefined;
}

export interface Snapshotter extends Disposable {
  /** Absolute: the directory that the paths of `overlay` are relative to. */
  readonly directory: string;
  /** Committed snapshots only; pinned from then on. */
  get(name: string): Snapshot | undefined;
  /** Whether it is there with all that it stands on. */
  isWhole(name: string): boolean;
  /** The snapshot and all below it, bottom first. Throws STORE_INVALID where one is missing. */
  chain(name: string): Snapshot[];
  prepare(parent: string | undefined): ActiveSnapshot;
  /** Gives it its name. Where the name exists, because another process won, ours is dropped and theirs returned. */
  commit(active: ActiveSnapshot, name: string, about?: SnapshotAbout): Snapshot;
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
  /** Whether its files, and those it stands on, are as they were made; begun at the first call. Throws UnsoundSnapshot: then nobody finds them any more. */
  check(name: string | undefined): Promise<void>;
  /** The same of what an active snapshot stands on, begun when it was prepared: what is made of them counts after that. */
  checkBelow(active: ActiveSnapshot): Promise<void>;
  /** A new directory beside the active snapshot, relative to `directory`: gone with the commit or the discard. */
  scratch(active: ActiveSnapshot): string;
  names(): string[];
}

/**
 * `root` is the state directory; made with mode 0700 what is missing in it. Removes what crashed processes left. `pin`: keeps
 * the snapshot of a name, and what it stands on, from being removed; it is looked for afterwards.
 */
export function openSnapshotter(root: string, pin: (name: string) => void = () => {}): Snapshotter {
  const paths = snapshotPaths(join(root, marksAreShared() ? 'snapshots' : 'snapshots-userns'));
  for (const path of [paths.directory, paths.names]) {
    const isNew = mkdirSync(path, { recursive: true, mode: 0o700 }) !== undefined;
    if (isNew && path === paths.directory) spreadDirectories(path);
  }
  const bootId = currentBootId();
  collectGarbage(paths, bootId);
  return new OverlaySnapshotter(paths, bootId, pin);
}

/** The machine's root has a state directory together with a root without privileges, who does not see marks in `trusted.*`. */
function marksAreShared(): boolean {
  return idScope() === 'machine' || ownIds('uid')[0]?.outside !== 0;
}
