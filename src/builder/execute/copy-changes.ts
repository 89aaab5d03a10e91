/**
 * A COPY as a changeset over the files that are there: pure over two trees, written to nobody.
 * Rows C2 to C15 of the language reference: where each file lands, which directories are made, who owns them.
 */
import { TsbuildError } from '../../errors.ts';
import { type ByteString, display, fromText, join, parentOf } from '../../tree/byte-string.ts';
import type { AddChange, Change } from '../../tree/change.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import { type CopySource, type SourceEntry, walkSource } from './copy-sources.ts';
import type { FileMode } from './file-mode.ts';

export interface CopyPlan {
  readonly from: FileTree;
  readonly sources: readonly CopySource[];
  readonly into: FileTree;
  /** Absolute, WORKDIR applied; a trailing slash means a directory. */
  readonly destination: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** New mode of files and directories. */
  readonly chmod: FileMode | undefined;
  /** A directory that the sources' contents go into and that is there: it gets the time of its source, or stays as it is. */
  readonly existing?: 'describe' | 'leave' | undefined;
  /** Time of directories that COPY makes: fixed, so that the layer does not depend on the clock. */
  readonly createdNs: bigint;
}

const ROOT = '' as ByteString;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** Changes in an order in which every directory comes before what is in it. Throws COPY_CONFLICT. */
export function* copyChanges(plan: CopyPlan): Generator<Change> {
  const target = resolvePath(plan.into, fromText(plan.destination), 'follow');
  const made = new Map<ByteString, FileNode>();
  const links = new Map<string, ByteString>();
  const intoDirectory = target.node?.type === 'directory' || plan.destination.endsWith('/');
  if (plan.sources.length > 1) needDirectory(plan.into, plan.destination);
  for (const source of plan.sources) yield* placeSource({ ...plan, made, links }, source, { path: target.path, intoDirectory });
}

/** Several sources need a directory to go into. Throws COPY_CONFLICT. */
export function needDirectory(into: FileTree, destination: string): void {
  if (destination.endsWith('/') || resolvePath(into, fromText(destination), 'follow').node?.type === 'directory') return;
  throw new TsbuildError('COPY_CONFLICT', `Cannot copy several sources to ${destination}: it is no directory`, {
    hint: `End the destination with a slash: ${destination}/`,
  });
}

interface Placing extends CopyPlan {
  readonly made: Map<ByteString, FileNode>;
  /** Inode of the source → where its first name landed. */
  readonly links: Map<string, ByteString>;
}

function* placeSource(plan: Placing, source: CopySource, target: { path: ByteString; intoDirectory: boolean }): Generator<Change> {
  const { node, place } = source;
  const isDirectory = node.type === 'directory';
  const top =
    place === undefined
      ? !isDirectory && target.intoDirectory
        ? join(target.path, source.name)
        : target.path
      : join(target.path, place.path);
  yield* makeParents(plan, place === undefined ? parentOf(top) : target.path, plan.made);
  for (const parent of place?.parents ?? []) {
    const path = join(target.path, parent.place);
    if (!plan.made.has(path)) yield* placeEntry(plan, { source, path: parent.path, relative: ROOT, node: parent.node }, path);
  }
  for (const entry of walkSource(plan.from, source))
    yield* placeEntry(plan, entry, entry.relative === '' ? top : join(top, entry.relative));
}

function* placeEntry(plan: Placing, entry: SourceEntry, path: ByteString): Generator<Change> {
  const present = plan.made.get(path) ?? plan.into.stat(path);
  const isDirectory = entry.node.type === 'directory';
  if (present !== undefined && isDirectory !== (present.type === 'directory')) conflict(entry, path, present);
  if (path === '' && !isDirectory) conflict(entry, path, present);
  const isContentsOnly = isDirectory && entry.relative === '' && entry.source.place === undefined;
  if (isContentsOnly && present !== undefined && plan.existing === 'leave') return;
  const change = isContentsOnly ? topDirectory(plan, entry, path, present) : copied(plan, entry, path);
  // Of a single source each file is met once: a million of them take no memory.
  if (isDirectory || plan.sources.length > 1) plan.made.set(path, change.node);
  yield change;
}

/** The destination of a directory's contents keeps its own mode and owner, or gets fresh ones; its time is the source's. */
function topDirectory(plan: Placing, entry: SourceEntry, path: ByteString, present: FileNode | undefined): AddChange {
  const node = present ?? newDirectory(plan);
  const xattrs = present === undefined || plan.made.has(path) ? NO_XATTRS : plan.into.xattrs(path);
  return { kind: 'add', path, node: { ...node, mtimeNs: entry.node.mtimeNs }, xattrs };
}

function copied(plan: Placing, entry: SourceEntry, path: ByteString): AddChange {
  const { inode, ...rest } = entry.node;
  const mode = plan.chmod === undefined || rest.type === 'symlink' ? rest.mode : changedMode(plan.chmod, rest);
  const node: FileNode = { ...(rest.type === 'socket' ? { ...rest, type: 'file' as const } : rest), mode, ...plan.owner };
  const xattrs = plan.from.xattrs(entry.path);
  const hardLinkTo = inode === undefined ? undefined : plan.links.get(inode);
  if (hardLinkTo !== undefined) return { kind: 'add', path, node, xattrs, hardLinkTo };
  if (inode !== undefined) plan.links.set(inode, path);
  if (node.type !== 'file') return { kind: 'add', path, node, xattrs };
  if (rest.type === 'socket') return { kind: 'add', path, node, xattrs, content: { kind: 'bytes', bytes: Buffer.alloc(0) } };
  return { kind: 'add', path, node, xattrs, content: { kind: 'file', open: () => plan.from.open(entry.path) } };
}

function changedMode(chmod: FileMode, node: FileNode): number {
  return typeof chmod === 'number' ? chmod : chmod(node);
}

function* makeParents(plan: CopyPlan, path: ByteString, made: Map<ByteString, FileNode>): Generator<Change> {
  if (path === '' || made.has(path)) return;
  const present = plan.into.stat(path);
  if (present?.type === 'directory') return;
  if (present !== undefined) {
    throw new TsbuildError('COPY_CONFLICT', `Cannot copy to ${plan.destination}: /${display(path)} is a ${present.type}, not a directory`);
  }
  yield* makeParents(plan, parentOf(path), made);
  const node = newDirectory(plan);
  made.set(path, node);
  yield { kind: 'add', path, node, xattrs: NO_XATTRS };
}

function newDirectory(plan: CopyPlan): FileNode {
  const { uid, gid } = plan.owner ?? { uid: 0, gid: 0 };
  return {
    type: 'directory',
    // Special bits are for what is copied: with them, BuildKit gives directories of its own the usual mode.
    mode: typeof plan.chmod === 'number' && plan.chmod <= 0o777 ? plan.chmod : 0o755,
    uid,
    gid,
    size: 0,
    mtimeNs: plan.createdNs,
    ctimeNs: plan.createdNs,
  };
}

function conflict(entry: SourceEntry, path: ByteString, present: FileNode | undefined): never {
  const [is, wants] = [present?.type ?? 'directory', entry.node.type];
  throw new TsbuildError(
    'COPY_CONFLICT',
    `Cannot copy ${wants} ${display(entry.path)} over ${is} /${display(path)}: a directory and a file cannot replace each other`,
    {
      hint: 'Remove the one that is there in an earlier step, or copy to another path.',
    },
  );
}
