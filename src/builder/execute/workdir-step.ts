/** WORKDIR makes its directory, every new component owned by the current user. */
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { type ByteString, display, fromText, parentOf } from '../../tree/byte-string.ts';
import type { Change } from '../../tree/change.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import type { BuildResources } from './resources.ts';
import { lookUpOwner, lookUpUser } from './user.ts';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Workdir {
  /** Absolute; links in it are followed inside the root. */
  readonly path: string;
  /** The owner of what is made, found in the image. */
  ownerIn(tree: FileTree): Owner;
  readonly createdNs: bigint;
}

/** Makes the directory and what is missing above it, in an active snapshot with nothing in it yet. */
export async function makeWorkdir(
  { snapshots, signal }: Pick<BuildResources, 'snapshots' | 'signal'>,
  active: ActiveSnapshot,
  { path, ownerIn, createdNs }: Workdir,
): Promise<void> {
  using tree = snapshots.tree(active.parent?.name);
  const target = resolvePath(tree, fromText(path), 'follow');
  const owner = ownerIn(tree);
  await applyChanges(missingDirectories(tree, target.path, { owner, createdNs }), active.upperFd, { lower: tree, signal });
}

/** Of WORKDIR: a number alone is both ids, as for `--chown`; a name that the image does not have yet stands for root. */
export function ownerByName(user: string): (tree: FileTree) => Owner {
  return (tree) => rootIfUnknown(() => lookUpOwner(tree, user));
}

/** Of the directory that a process starts in: its user and group. A name that is unknown is told when the process starts. */
export function ownerOfProcess(user: string): (tree: FileTree) => Owner {
  return (tree) => rootIfUnknown(() => lookUpUser(tree, user));
}

function rootIfUnknown(find: () => Owner): Owner {
  try {
    const { uid, gid } = find();
    return { uid, gid };
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_USER_NOT_FOUND') return { uid: 0, gid: 0 };
    throw error;
  }
}

export type Made = { readonly owner: Owner; readonly createdNs: bigint };

/** What is to be made so that `path`, clean and without links, is a directory. Throws COPY_CONFLICT. */
export function missingDirectories(tree: FileTree, path: ByteString, made: Made): Change[] {
  const present = tree.stat(path);
  if (present?.type === 'directory') return [];
  if (present !== undefined) {
    throw new TsbuildError('COPY_CONFLICT', `Cannot make the directory /${display(path)}: a ${present.type} is there`);
  }
  const { owner, createdNs } = made;
  const above = path === '' ? [] : missingDirectories(tree, parentOf(path), made);
  const node = { type: 'directory' as const, mode: 0o755, ...owner, size: 0, mtimeNs: createdNs, ctimeNs: createdNs };
  return [...above, { kind: 'add', path, node, xattrs: new Map() }];
}
