/** All committed snapshots of a state directory, for those who look at them as a whole: what they are, what they take, and their removal. */
import { existsSync, readdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errorCodeOf } from '../errors.ts';
import { readIfThere } from '../sys/if-there.ts';
import { type SnapshotPaths, snapshotPaths } from './collect-garbage.ts';
import { tryLock } from './locks.ts';
import { idOf } from './snapshot-id.ts';
import { INFO_FILE, readSnapshotInfo, type SnapshotInfo } from './snapshot-info.ts';

export interface CommittedSnapshot {
  readonly name: string;
  /** Absolute: `fs`, and what is written beside it. */
  readonly directory: string;
  /** Undefined where it was torn: then nobody can use it. */
  readonly info: SnapshotInfo | undefined;
  /** Milliseconds since the epoch. */
  readonly usedAtMs: number;
  /** The kind of its marks (snapshotter.ts): a parent is always of the same. */
  readonly base: string;
}

const BASES = ['snapshots', 'snapshots-userns'] as const;
const SIZE_FILE = 'size';

/** `root` is the state directory. What goes meanwhile is left out. */
export function committedSnapshots(root: string): CommittedSnapshot[] {
  return BASES.flatMap((base) => {
    const paths = snapshotPaths(join(root, base));
    return namesIn(paths).flatMap((name) => committedSnapshot(paths, base, name) ?? []);
  });
}

function namesIn({ names }: SnapshotPaths): string[] {
  return existsSync(names) ? readdirSync(names) : [];
}

function committedSnapshot(paths: SnapshotPaths, base: string, name: string): CommittedSnapshot | undefined {
  const id = idOf(join(paths.names, name));
  if (id === undefined) return undefined;
  const directory = join(paths.directory, id);
  const usedAtMs = statSync(join(directory, INFO_FILE), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return { name, directory, info: readSnapshotInfo(directory), usedAtMs, base };
}

/** Which snapshots have others on them, as it is at each `refresh`. */
export interface SnapshotChildren {
  refresh(): void;
  has(snapshot: Pick<CommittedSnapshot, 'base' | 'name'>): boolean;
  /** It was removed since. */
  drop(snapshot: Pick<CommittedSnapshot, 'base' | 'name'>): void;
}

export function openSnapshotChildren(root: string): SnapshotChildren {
  /** Child → parent: a name never gets another one. */
  const parents = new Map<string, string | undefined>();
  const counts = new Map<string, number>();
  const count = (parent: string | undefined, more: 1 | -1): void => {
    if (parent !== undefined) counts.set(parent, (counts.get(parent) ?? 0) + more);
  };
  const forget = (key: string): void => {
    count(parents.get(key), -1);
    parents.delete(key);
  };
  return {
    refresh() {
      const there = new Set<string>();
      for (const base of BASES) {
        const paths = snapshotPaths(join(root, base));
        for (const name of namesIn(paths)) {
          const key = `${base}/${name}`;
          there.add(key);
          if (parents.has(key)) continue;
          const parent = readSnapshotInfo(join(paths.names, name))?.parent;
          parents.set(key, parent === undefined ? undefined : `${base}/${parent}`);
          count(parents.get(key), 1);
        }
      }
      for (const key of [...parents.keys()]) if (!there.has(key)) forget(key);
    },
    has: ({ base, name }) => (counts.get(`${base}/${name}`) ?? 0) > 0,
    drop: ({ base, name }) => forget(`${base}/${name}`),
  };
}

/**
 * Takes the name away and gives the directory to `take`, in one go; false where a step works on it, or somebody else was faster.
 * The caller knows that nothing is built on it, and that nobody begins to.
 */
export function removeSnapshot(root: string, { base, name, directory }: CommittedSnapshot, take: (path: string) => boolean): boolean {
  const paths = snapshotPaths(join(root, base));
  if (idOf(join(paths.names, name)) !== basename(directory)) return false;
  if (!existsSync(directory)) {
    unlinkSync(join(paths.names, name));
    return true;
  }
  using lock = tryLock(join(directory, 'lock'), 'exclusive');
  if (lock === undefined) return false;
  unlinkSync(join(paths.names, name));
  return take(directory);
}

/** Bytes on the disk as they were measured; undefined where nobody has done it. Committed files never change. */
export function knownSize({ directory }: CommittedSnapshot): number | undefined {
  const [, bytes] = /^(\d{1,16})\n$/.exec(readIfThere(join(directory, SIZE_FILE)) ?? '') ?? [];
  return bytes === undefined || Number(bytes) === 0 ? undefined : Number(bytes);
}

export function recordSize({ directory }: CommittedSnapshot, bytes: number): void {
  const file = join(directory, SIZE_FILE);
  try {
    // One that a kill tears has no end, and is measured again; a file beside it would stay.
    writeFileSync(file, `${bytes}\n`, { mode: 0o600 });
  } catch (error) {
    // Removed meanwhile; or the disk is full, which is no reason not to tell.
    if (!['ENOENT', 'ENOSPC', 'EDQUOT', 'EROFS'].includes(errorCodeOf(error) ?? '')) throw error;
  }
}
