/** An archive that is a build context, as a tree: unpacked into a snapshot that nothing else stands on. */
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import { readArchiveFile } from '../../layers/archive-file.ts';
import { readArchive } from '../../layers/read-archive.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { BuildResources } from './resources.ts';

/**
 * Files with the owners, modes and times of the archive; gone when the tree is disposed of, or the process dies. `fd`, at the
 * beginning of the file, is closed. Throws ARCHIVE_INVALID for what is malformed, leaves the root, or goes beyond the limits of a layer.
 */
export async function unpackedTree(
  { snapshots, signal, emit }: Pick<BuildResources, 'snapshots' | 'signal' | 'emit'>,
  fd: number,
): Promise<FileTree & Disposable> {
  needPrivilege();
  const active = snapshots.prepare(undefined);
  try {
    await applyChanges(readArchive(readArchiveFile(fd), { signal }), active.upperFd, { signal, losses: { emit, of: 'the build context' } });
  } catch (error) {
    snapshots.discard(active);
    throw contextError(error);
  }
  const tree = snapshots.activeTree(active);
  return {
    ...{ stat: tree.stat.bind(tree), list: tree.list.bind(tree), xattrs: tree.xattrs.bind(tree), open: tree.open.bind(tree) },
    [Symbol.dispose]() {
      tree[Symbol.dispose]();
      snapshots.discard(active);
    },
  };
}

/** What a reader or writer of layers finds wrong, said of the archive. */
function contextError(error: unknown): unknown {
  if (!(error instanceof TsbuildError) || error.code !== 'ERR_TSBUILD_LAYER_INVALID') return error;
  const reason = error.message.replace(/^Cannot (?:read|decompress) a layer: |^Cannot apply a layer at /, '');
  return new TsbuildError('ARCHIVE_INVALID', `Cannot unpack the build context: ${reason}`, { cause: error });
}
