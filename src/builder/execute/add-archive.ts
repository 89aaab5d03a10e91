/** Archives that ADD unpacks, as changes below the destination (rows ADD4 and ADD5 of the language reference). */
import { TsbuildError } from '../../errors.ts';
import { isArchiveFile, readArchiveFile } from '../../layers/archive-file.ts';
import { readArchive } from '../../layers/read-archive.ts';
import { WHITEOUT_PREFIX } from '../../layers/whiteout-names.ts';
import { display, fromText, join } from '../../tree/byte-string.ts';
import type { AddChange, Change } from '../../tree/change.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import type { CopySource } from './copy-sources.ts';
import { missingDirectories } from './workdir-step.ts';

export interface Unpacking {
  readonly from: FileTree;
  readonly source: CopySource;
  readonly into: FileTree;
  /** Absolute; made as a directory where nothing is. */
  readonly destination: string;
  /** Of everything unpacked; undefined: as the archive says. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly createdNs: bigint;
  readonly signal: AbortSignal;
}

/** Whether the source is a file that starts as a tar, compressed or not. A file that is none is copied. Throws UNSUPPORTED. */
export async function isArchive(tree: FileTree, { path, node }: CopySource): Promise<boolean> {
  return node.type === 'file' && node.size > 0 && (await isArchiveFile(tree.open(path)));
}

/** The archive's root itself is left as it is: the destination keeps its mode and owner. Throws ARCHIVE_INVALID, COPY_CONFLICT. */
export async function* unpackChanges(plan: Unpacking): AsyncGenerator<Change, void, undefined> {
  const { from, source, into, destination, owner, createdNs, signal } = plan;
  const { path: root } = resolvePath(into, fromText(destination), 'follow');
  yield* missingDirectories(into, root, { owner: owner ?? { uid: 0, gid: 0 }, createdNs });
  try {
    for await (const change of readArchive(readArchiveFile(from.open(source.path)), { signal })) {
      refuseWhiteout(change);
      if (change.path !== '') yield below(change, root, owner);
    }
  } catch (error) {
    throw archiveError(error, source);
  }
}

/** What a reader or writer of layers finds wrong, said of the archive. */
export function archiveError(error: unknown, { name }: CopySource): unknown {
  if (!(error instanceof TsbuildError) || error.code !== 'ERR_TSBUILD_LAYER_INVALID') return error;
  const reason = error.message.replace(/^Cannot (?:read|decompress) a layer: |^Cannot apply a layer at /, '');
  return new TsbuildError('ARCHIVE_INVALID', `Cannot unpack ${display(name)}: ${reason}`, {
    hint: error.hint ?? 'Make the archive again, or add it as it is with ADD --unpack=false.',
    cause: error,
  });
}

/** To unpack such a name is right, but no layer can hold it: better said here, with the line, than when the image is made. */
function refuseWhiteout({ path }: AddChange): void {
  if (!path.split('/').some((name) => name.startsWith(WHITEOUT_PREFIX))) return;
  throw new TsbuildError('LAYER_INVALID', `Cannot read a layer: the name ${display(path)} stands for a deletion in a layer`);
}

function below(change: AddChange, root: Unpacking['source']['path'], owner: Unpacking['owner']): AddChange {
  const { hardLinkTo } = change;
  return {
    ...change,
    path: join(root, change.path),
    node: { ...change.node, ...owner },
    ...(hardLinkTo === undefined ? {} : { hardLinkTo: join(root, hardLinkTo) }),
  };
}
