/** WORKDIR makes its directory, every new component owned by the current user. */
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { type ByteString, display, fromText, parentOf } from '../../tree/byte-string.ts';
import type { Change } from '../../tree/change.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import type { BuildResources } from './resources.ts';

export interface DirectoryOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Makes `path` (absolute, links in it followed inside the root) and what is missing above it. Returns whether anything was made. */
export async function makeWorkdir(
  { snapshots, signal }: BuildResources,
  active: ActiveSnapshot,
  { path, owner, createdNs }: { readonly path: string; readonly owner: DirectoryOwner; readonly createdNs: bigint },
): Promise<void> {
  using tree = snapshots.activeTree(active);
  const target = resolvePath(tree, fromText(path), 'follow');
  await applyChanges(missingDirectories(tree, target.path, { owner, createdNs }), active.upperFd, { lower: tree, signal });
}

function missingDirectories(tree: FileTree, path: ByteString, made: { owner: DirectoryOwner; createdNs: bigint }): Change[] {
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
