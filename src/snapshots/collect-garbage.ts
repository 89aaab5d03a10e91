/**
 * What crashes leave behind: directories that no name leads to, names of snapshots that a crash of the machine may have torn.
 * A name is a symbolic link; making it is the commit. A directory without a name belongs to a process as long as its lock is held.
 */
import { readdirSync, readFileSync, readlinkSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SyscallError } from '../errors.ts';
import { AT_FDCWD } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { fromText } from '../tree/byte-string.ts';
import { tryLock } from './locks.ts';
import { readSnapshotInfo } from './snapshot-info.ts';

/** Of one snapshot store; all absolute. */
export interface SnapshotPaths {
  readonly directory: string;
  readonly names: string;
  readonly lock: string;
  readonly boot: string;
}

const DEAD = 'dead-';

/** The machine's boot, by its random ID (random(4)). */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Cheap where there is nothing to do; leaves it to another process that is at it. */
export function collectGarbage(paths: SnapshotPaths, bootId: string): void {
  const isNewBoot = readOrEmpty(paths.boot) !== bootId;
  if (!isNewBoot && readdirSync(paths.directory).length === readdirSync(paths.names).length) return;
  const dead = claimGarbage(paths, isNewBoot ? bootId : undefined);
  for (const name of dead) removeDead(paths, name);
}

/** Under the lock only renames: others wait for it to make a snapshot. */
function claimGarbage(paths: SnapshotPaths, newBootId: string | undefined): string[] {
  using lock = tryLock(paths.lock, 'exclusive');
  if (lock === undefined) return [];
  if (newBootId !== undefined) {
    dropUnsynced(paths, newBootId);
    writeFileSync(`${paths.boot}.new`, newBootId, { mode: 0o600 });
    renameSync(`${paths.boot}.new`, paths.boot);
  }
  const named = new Set(readdirSync(paths.names).map((name) => basename(readlinkSync(join(paths.names, name)))));
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
    if (isErrno(error, 'ENOENT')) return false;
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

/** Of another boot, and not known to be on the disk: gone, with what builds on it. */
function dropUnsynced(paths: SnapshotPaths, bootId: string): void {
  const parents = new Map<string, string | undefined>();
  for (const name of readdirSync(paths.names)) {
    const info = readSnapshotInfo(join(paths.names, name));
    if (info !== undefined && (info.synced || info.bootId === bootId)) parents.set(name, info.parent);
    else unlinkSync(join(paths.names, name));
  }
  for (const name of parents.keys()) if (!isWhole(parents, name)) unlinkSync(join(paths.names, name));
}

function isWhole(parents: ReadonlyMap<string, string | undefined>, name: string): boolean {
  for (let at: string | undefined = name; at !== undefined; at = parents.get(at)) if (!parents.has(at)) return false;
  return true;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}

function isErrno(error: unknown, errno: string): boolean {
  return error instanceof Error && 'code' in error && error.code === errno;
}
