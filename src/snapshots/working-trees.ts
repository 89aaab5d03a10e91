/** How steps get their files, where the caller leaves it to us. */
import path from 'node:path';
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { whyNoOverlay } from './overlay-support.ts';
import type { ActiveSnapshot, Snapshotter } from './snapshotter.ts';

/** `auto` tries an overlay where the file system is one that may have none. */
const SNAPSHOTTERS = ['auto', 'overlay', 'copy'] as const;
export type SnapshotterChoice = (typeof SNAPSHOTTERS)[number];

interface Options {
  readonly chosen: SnapshotterChoice | undefined;
  readonly emit: Emit;
}

/** `active`: a place in the state directory. Throws USAGE where `$TSBUILD_SNAPSHOTTER` is none of them. */
export async function chooseWorkingTrees(
  snapshots: Snapshotter,
  active: ActiveSnapshot,
  { chosen = ofEnvironment(), emit }: Options,
): Promise<'overlay' | 'copy'> {
  if (chosen !== 'auto') return chosen;
  const why = await whyNoOverlay(path.join(snapshots.directory, snapshots.scratch(active)));
  if (why === undefined) return 'overlay';
  const message =
    `Each RUN works on a copy of its files, which takes time and space: no overlay can be mounted in ${snapshots.directory} (${why}). ` +
    'A state directory (--root) on ext4, xfs or btrfs changes that; in a container, a volume';
  emit({ kind: 'warning', message });
  return 'copy';
}

function ofEnvironment(): SnapshotterChoice {
  const asked = process.env['TSBUILD_SNAPSHOTTER'] || 'auto';
  const choice = SNAPSHOTTERS.find((name) => name === asked);
  if (choice !== undefined) return choice;
  throw new TsbuildError('USAGE', `Cannot use the snapshotter ${asked}: TSBUILD_SNAPSHOTTER is ${SNAPSHOTTERS.join(', ')}`);
}
