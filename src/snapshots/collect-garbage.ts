/**
 * What crashes leave behind: directories that no name leads to, names of snapshots that a crash of the machine may have torn.
 * A name is a symbolic link; making it is the commit. A directory without a name belongs to a process as long as its lock is held.
 */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodeOf, SyscallError } from '../errors.ts';
import { readIfThere } from '../sys/if-there.ts';
import { AT_FDCWD } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { replaceFile } from '../sys/replace-file.ts';
import { fromText } from '../tree/byte-string.ts';
import { lockBriefly, tryLock } from './locks.ts';
import { idOf } from './snapshot-id.ts';
import { readSnapshotInfo } from './snapshot-info.ts';

/** Of one snapshot store; all absolute. */
export interface SnapshotPaths {
  readonly directory: string;
  readonly names: string;
  readonly lock: string;
  readonly boot: string;
}

const DEAD = 'dead-';

/** `base`: the folder of one snapshot store. */
export function snapshotPaths(base: string): SnapshotPaths {
  return { directory: join(base, 'd'), names: join(base, 'names'), lock: join(base, 'lock'), boot: join(base, 'boot') };
}

/** Cheap where there is nothing to do; leaves it to another process that is at it. */
export function collectGarbage(paths: SnapshotPaths, bootId: string): void {
  const isNewBoot = readIfThere(paths.boot) !== bootId;
  if (!isNewBoot && readdirSync(paths.directory).length === readdirSync(paths.names).length) return;
  try {
    const dead = claimGarbage(paths, isNewBoot ? bootId : undefined);
    for (const name of dead) removeDead(paths, name);
  } catch (error) {
    // What has no name harms nobody; what a crash of the machine may have torn does.
    if (isNewBoot || errorCodeOf(error) !== 'EROFS') throw error;
  }
}

/** Under the lock only renames: others wait for it to make a snapshot. */
function claimGarbage(paths: SnapshotPaths, newBootId: string | undefined): string[] {
  using lock = tryLock(paths.lock, 'exclusive');
  if (lock === undefined) return [];
  if (newBootId !== undefined) {
    dropOtherBoots(paths, newBootId);
    replaceFile(paths.boot, newBootId);
  }
  const named = new Set(readdirSync(paths.names).flatMap((name) => idOf(join(paths.names, name)) ?? []));
  const unnamed = readdirSync(paths.directory).filter((id) => !named.has(id));
  return unnamed.filter((id) => id.startsWith(DEAD) || claim(paths, id)).map((id) => (id.startsWith(DEAD) ? id : `${DEAD}${id}`));
}

/** Takes an unnamed directory whose process is gone out of sight; false where it lives, or is gone already. */
export function claim(paths: SnapshotPaths, id: string): boolean {
  try {
    using lock = tryLock(join(paths.directory, id, 'lock'), 'exclusive');
    if (lock === undefined) return false;
    renameSync(join(paths.directory, id), join(paths.directory, `${DEAD}${id}`));
    return true;
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Removes what `claim` took. */
export function removeClaimed(paths: SnapshotPaths, id: string): void {
  removeDead(paths, `${DEAD}${id}`);
}

/** Another process may be at it too; what one of them leaves the next collection takes. */
function removeDead(paths: SnapshotPaths, name: string): void {
  try {
    removeTree(AT_FDCWD, fromText(join(paths.directory, name)));
  } catch (error) {
    if (!(error instanceof SyscallError && (error.errno === 'ENOENT' || error.errno === 'ENOTEMPTY'))) throw error;
  }
}

/** What another boot wrote need not be on the disk: gone, with what builds on it. */
function dropOtherBoots(paths: SnapshotPaths, bootId: string): void {
  const parents = new Map<string, string | undefined>();
  for (const name of readdirSync(paths.names)) {
    const info = readSnapshotInfo(join(paths.names, name));
    if (info !== undefined && info.bootId === bootId) parents.set(name, info.parent);
    else rmSync(join(paths.names, name), { force: true });
  }
  for (const name of parents.keys()) if (!isWhole(parents, name)) rmSync(join(paths.names, name), { force: true });
}

/** Takes the name away, and those of all that stands on it, the uppermost first; nothing where it leads to another directory by now. */
export function dropSnapshot(paths: SnapshotPaths, name: string, id: string): void {
  using _lock = lockBriefly(paths.lock, 'exclusive');
  if (idOf(join(paths.names, name)) !== id) return;
  const children = new Map<string | undefined, string[]>();
  for (const other of readdirSync(paths.names)) {
    const parent = readSnapshotInfo(join(paths.names, other))?.parent;
    children.set(parent, [...(children.get(parent) ?? []), other]);
  }
  const dropped = [name];
  for (const at of dropped) dropped.push(...(children.get(at) ?? []));
  for (const at of dropped.reverse()) rmSync(join(paths.names, at), { force: true });
}

function isWhole(parents: ReadonlyMap<string, string | undefined>, name: string): boolean {
  for (let at: string | undefined = name; at !== undefined; at = parents.get(at)) if (!parents.has(at)) return false;
  return true;
}
