/** The files that a step works on: an overlay on its snapshot, or where none can be mounted, a copy whose changes go to the snapshot. */
import { closeSync, existsSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import { makeWorkingCopy, workingCopyDiff } from '../../layers/working-copy.ts';
import type { ContainerSpec } from '../../sandbox/container-spec.ts';
import type { ActiveSnapshot, OverlayMount } from '../../snapshots/snapshotter.ts';
import { NO_SPACE_HINT } from '../../store/no-space.ts';
import { openDirectory } from '../../sys/open.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { listDirectory, statAt } from '../../sys/stat.ts';
import { type ByteString, fromText, join } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { wholeTree } from '../../tree/whole-tree.ts';
import type { BuildResources } from './resources.ts';

export interface WorkingTree extends Disposable {
  readonly rootfs: ContainerSpec['rootfs'];
  /** The directory that what is made beside the step goes to. */
  readonly upperFd: number;
  /** Throws NO_SPACE where nothing that the step wrote could be kept. */
  checkWritable(): void;
  /** Brings into the snapshot what the step has changed. */
  keep(): Promise<void>;
}

const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;

type Resources = Pick<BuildResources, 'snapshots' | 'signal' | 'emit' | 'workingTrees'>;

/** `tree`: what the snapshot shows now. */
export async function openWorkingTree(resources: Resources, active: ActiveSnapshot, tree: FileTree): Promise<WorkingTree> {
  if ((await resources.workingTrees(active)) === 'copy') return await openCopy(resources, active, tree);
  const rootfs = resources.snapshots.overlay(active);
  return {
    rootfs,
    upperFd: active.upperFd,
    checkWritable: () => needWorkDirectory(rootfs),
    keep: async () => {},
    [Symbol.dispose]: () => {},
  };
}

/** Where overlayfs cannot make its working directory, it mounts read-only without an error (fs/overlayfs/super.c, ovl_get_workdir). */
function needWorkDirectory({ cwd, work }: OverlayMount): void {
  if (existsSync(path.join(cwd, work, 'work'))) return;
  const message = 'Cannot give the step files that it can change: the kernel found no room for the overlay, and made it read-only';
  throw new TsbuildError('NO_SPACE', message, { hint: NO_SPACE_HINT });
}

async function openCopy({ snapshots, signal, emit }: Resources, active: ActiveSnapshot, tree: FileTree): Promise<WorkingTree> {
  const directory = path.join(snapshots.directory, snapshots.scratch(active));
  const fd = openDirectory(fromText(directory));
  const losses = { emit, of: "a step's files" };
  try {
    const own = new Set(pathsIn(active.upperFd, '' as ByteString));
    const copy = await makeWorkingCopy(tree, fd, { writing: showsWriting(directory), signal, losses });
    return {
      rootfs: { directory },
      upperFd: fd,
      checkWritable: () => {},
      async keep() {
        using lower = snapshots.tree(active.parent?.name);
        for (const name of listDirectory(active.upperFd)) removeTree(active.upperFd, name);
        await applyChanges(workingCopyDiff(copy, lower, own), active.upperFd, { lower, signal, losses });
      },
      [Symbol.dispose]: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function showsWriting(directory: string): 'shows' | 'may not show' {
  const { type } = statfsSync(directory);
  return type === TMPFS_MAGIC || type === RAMFS_MAGIC ? 'may not show' : 'shows';
}

function* pathsIn(fd: number, at: ByteString): Generator<ByteString> {
  for (const name of listDirectory(fd)) {
    yield join(at, name);
    if (statAt(fd, name)?.type !== 'directory') continue;
    const below = openDirectory(`/proc/self/fd/${fd}/${name}` as ByteString);
    try {
      yield* pathsIn(below, join(at, name));
    } finally {
      closeSync(below);
    }
  }
}

/** What is at `from` in a committed snapshot, copied beside an active one, and gone with that: the path of the copy. */
export async function copyPart(
  { snapshots, signal, emit }: Resources,
  active: ActiveSnapshot,
  { tree, from }: { readonly tree: FileTree; readonly from: ByteString },
): Promise<string> {
  const directory = path.join(snapshots.directory, snapshots.scratch(active));
  const fd = openDirectory(fromText(directory));
  try {
    await applyChanges(wholeTree(tree, { from, into: PART }), fd, { signal, losses: { emit, of: 'a mount' } });
  } finally {
    closeSync(fd);
  }
  return path.join(directory, PART);
}

const PART = 'part' as ByteString;
