/** The state directory: whether it can be written, what file system it is on, how much fits. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { type Asker, type Finding, isRoot } from './finding.ts';

export interface StateFacts {
  readonly asker: Asker;
  readonly root: string;
  /** `root`, or the nearest directory above it that is there. */
  readonly nearest: string;
  readonly writable: boolean;
  readonly owner: number;
  /** Such as `ext4`. */
  readonly fileSystem: string;
  readonly freeBytes: number;
}

/** linux/magic.h; ext2 to ext4 share one. */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0xca451a4e, 'bcachefs'],
]);
/** An upper directory of overlayfs cannot be on these. */
const NO_UPPER: ReadonlySet<string> = new Set(['overlay', 'nfs', '9p', 'fuse']);
const ENOUGH_BYTES = 1024 ** 3;

export function readStateFacts(asker: Asker, root: string): StateFacts {
  const nearest = nearestDirectory(path.resolve(root));
  const { type, bavail, bsize } = statfsSync(nearest);
  return {
    ...{ asker, root, nearest, writable: isWritable(nearest), owner: statSync(nearest).uid },
    fileSystem: FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`,
    freeBytes: bavail * bsize,
  };
}

export function stateFindings(facts: StateFacts): Finding[] {
  return [directoryFinding(facts), fileSystemFinding(facts), spaceFinding(facts)];
}

function directoryFinding({ asker, root, nearest, writable, owner }: StateFacts): Finding {
  const about = { group: 'state', id: 'state.directory', title: 'state directory' } as const;
  const found = nearest === path.resolve(root) ? root : `${root}, not there yet`;
  if (!writable) {
    return {
      ...about,
      state: 'missing',
      found: `${found}: ${nearest} cannot be written`,
      means: 'nothing can be built',
      fix: 'Choose another with --root.',
    };
  }
  if (nearest === path.resolve(root) && owner !== asker.uid) {
    const fix = isRoot(asker) ? `chown root: ${root}, or choose another with --root` : 'Choose another with --root.';
    return { ...about, state: 'limited', found: `${found}, of user ${owner}`, means: 'another user can change what is built', fix };
  }
  return { ...about, state: 'ok', found };
}

function fileSystemFinding({ fileSystem }: StateFacts): Finding {
  const about = { group: 'state', id: 'state.file-system', title: 'file system', found: fileSystem } as const;
  if (!NO_UPPER.has(fileSystem)) return { ...about, state: 'ok' };
  return {
    ...about,
    state: 'limited',
    means: 'the kernel mounts no overlay with its upper directory there: where it refuses, each RUN works on a copy of its files',
    fix: 'Put the state directory (--root) on ext4, xfs, btrfs or tmpfs; in a container: on a volume.',
  };
}

function spaceFinding({ freeBytes }: StateFacts): Finding {
  const about = { group: 'state', id: 'state.space', title: 'free space', found: `${(freeBytes / 1e9).toFixed(1)} GB` } as const;
  if (freeBytes >= ENOUGH_BYTES) return { ...about, state: 'ok' };
  return { ...about, state: 'limited', means: 'builds may end with a full disk', fix: 'Make room, or choose another place with --root.' };
}

function nearestDirectory(directory: string): string {
  return existsSync(directory) ? directory : nearestDirectory(path.dirname(directory));
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
