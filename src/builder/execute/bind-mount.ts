/** `RUN --mount=type=bind`: a file or directory of a stage, an image or a context, which the step cannot change for others. */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError, unreachable } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { BindMount } from '../../parser/mount.ts';
import type { LayerStack, MountAccess, MountSpec } from '../../sandbox/container-spec.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { isSound } from '../../snapshots/unsound-snapshot.ts';
import { type ByteString, fromText } from '../../tree/byte-string.ts';
import type { Change } from '../../tree/change.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { copyChanges } from './copy-changes.ts';
import type { CopySource } from './copy-sources.ts';
import { snapshotOf } from './files.ts';
import { notFound, type Selection } from './find-sources.ts';
import type { MountPlace, OpenMount, RunMount } from './run-mounts.ts';
import { contextGroup } from './source-group.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import { copyPart } from './working-tree.ts';

export function bindMount(run: StageRun, mount: BindMount, { from, target }: MountPlace): RunMount {
  const source = path.posix.join('/', mount.source);
  const { access } = mount;
  return {
    identity: async () => ['bind', target, access, ...(await sourceIdentity(run, from, source))],
    async open(active) {
      const found = await openMountSource(run, from, source);
      const { tree, name, source: inside, type } = found;
      if ((await run.resources.workingTrees(active)) === 'copy') return await copied(run, active, { found, target, access });
      const layers = { ...run.resources.snapshots.layers(name), ...(access === 'read-write' ? writable(run, active, tree) : {}) };
      return {
        specs: [{ kind: 'layers', target, layers, source: inside, access, type }],
        env: new Map(),
        // It keeps the snapshot from being removed.
        async [Symbol.asyncDispose]() {
          tree[Symbol.dispose]();
        },
      };
    },
  };
}

/** Where layers cannot be mounted as one tree, the step gets a copy of the part that it asked for. */
async function copied(
  { resources }: StageRun,
  active: ActiveSnapshot,
  { found, target, access }: { readonly found: MountSource; readonly target: string; readonly access: MountAccess },
): Promise<OpenMount> {
  using tree = found.tree;
  const from = resolvePath(tree, fromText(found.source), 'follow').path;
  const hostPath = await copyPart(resources, active, { tree, from });
  const spec: MountSpec = { kind: 'bind', target, hostPath, access, type: found.type };
  return { specs: [spec], env: new Map(), [Symbol.asyncDispose]: async () => {} };
}

/** Part of a key: the content of what is read out of a context, how a stage or an image came to be. */
export async function sourceIdentity(run: StageRun, from: StepSource | undefined, source: string): Promise<string[]> {
  if (from !== undefined && from.kind !== 'context') return ['from', (await run.finished(from)).key, source];
  await using group = contextGroup(run, from?.name, selectionOf(source));
  return ['context', ...(await group.identity())];
}

export interface MountSource {
  /** Of the whole snapshot; holds it until it is disposed. */
  readonly tree: FileTree & Disposable;
  readonly name: string | undefined;
  /** Absolute path in it. */
  readonly source: string;
  readonly type: 'file' | 'directory';
}

/** Throws CONTEXT_PATH_NOT_FOUND where nothing is at `source`. */
export async function openMountSource(run: StageRun, from: StepSource | undefined, source: string): Promise<MountSource> {
  const { snapshots } = run.resources;
  const { name, inside } = await snapshotToMount(run, from, source);
  const tree = snapshots.tree(name);
  try {
    const { node } = resolvePath(tree, fromText(inside), 'follow');
    if (node === undefined) throw notFound(tree, fromText(source), { verb: 'mount', why: () => `not in ${nameOfSource(run, from)}` });
    return { tree, name, source: inside, type: node.type === 'directory' ? 'directory' : 'file' };
  } catch (error) {
    tree[Symbol.dispose]();
    throw error;
  }
}

/** The snapshot that has the source, and where. */
async function snapshotToMount(
  run: StageRun,
  from: StepSource | undefined,
  source: string,
): Promise<{ name: string | undefined; inside: string }> {
  if (from === undefined || from.kind === 'context') return { name: await copyOfContext(run, from?.name, source), inside: `/${COPY}` };
  return { name: await snapshotOf(run.resources, (await run.finished(from)).files), inside: source };
}

function nameOfSource({ plan }: StageRun, from: StepSource | undefined): string {
  switch (from?.kind) {
    case undefined:
      return 'the build context';
    case 'context':
      return `the context ${JSON.stringify(from.name)}`;
    case 'stage':
      return `stage ${JSON.stringify(plan.stages[from.index]?.name)}`;
    case 'image':
      return `image ${from.reference}`;
    default:
      return unreachable(from);
  }
}

function selectionOf(source: string): Selection {
  return { paths: [source], layout: 'mount', exclude: [], missing: 'error' };
}

/** The one entry of a copy's root. */
const COPY = 'source';

/**
 * Files of a context are never mounted themselves: ignore rules and owners are those of COPY, and other programs may write to
 * them meanwhile. The copy is a snapshot without a parent, named by what is in it.
 */
async function copyOfContext(run: StageRun, context: string | undefined, source: string): Promise<string> {
  const { resources } = run;
  const { emit, snapshots, signal } = resources;
  const text = `${context ?? 'the build context'} ${source}`;
  await using group = contextGroup(run, context, selectionOf(source));
  const identity = await group.identity();
  const name = createHash('sha256').update(`tsbuild-context-copy-1 ${identity.join()}`).digest('hex');
  if (await isSound(resources, name)) return name;
  const active = snapshots.prepare(undefined);
  try {
    const { tree: from, sources } = await group.open();
    await applyChanges(wholeCopy(from, sources.map(asShown)), active.upperFd, { signal, losses: { emit, of: `the copy of ${text}` } });
    if ((await group.identity()).join() !== identity.join()) {
      throw new TsbuildError('CONTEXT_CHANGED', 'Cannot mount: files of the build context changed while they were copied');
    }
    return snapshots.commit(active, name, {
      purpose: { kind: 'context-copy', text: text.slice(0, 300) },
    }).name;
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
}

const EMPTY: FileTree = {
  stat: () => undefined,
  list: () => [],
  xattrs: () => new Map(),
  open(path) {
    throw new Error(`An empty tree has no ${path}`);
  },
};

/** The mode of a context's own directory says nothing about it. */
function asShown(source: CopySource): CopySource {
  return source.path === '' ? { ...source, node: { ...source.node, mode: 0o755, uid: 0, gid: 0 } } : source;
}

/** One source as `/source`, with its own mode and owner, which a COPY would not give to a directory. */
export function* wholeCopy(from: FileTree, sources: readonly CopySource[]): Generator<Change> {
  const [source] = sources;
  const copy = { from, sources, into: EMPTY, destination: `/${COPY}`, owner: undefined, chmod: undefined, createdNs: CREATED_NS };
  for (const change of copyChanges(copy)) {
    yield change.kind === 'add' && change.path === COPY && source !== undefined
      ? { ...change, node: withOwner(change.node, source.node) }
      : change;
  }
}

function withOwner(node: FileNode, { mode, uid, gid }: FileNode): FileNode {
  return { ...node, mode, uid, gid };
}

/** What a step writes goes to a directory beside its snapshot, and with it. */
function writable({ resources }: StageRun, active: ActiveSnapshot, tree: FileTree): Pick<LayerStack, 'writable'> {
  const { snapshots } = resources;
  const scratch = snapshots.scratch(active);
  const root = tree.stat('' as ByteString);
  const upper = `${scratch}/upper`;
  mkdirSync(path.join(snapshots.directory, upper), { mode: 0o700 });
  mkdirSync(path.join(snapshots.directory, scratch, 'work'), { mode: 0o700 });
  likeRoot(path.join(snapshots.directory, upper), root);
  return { writable: { upper, work: `${scratch}/work` } };
}

function likeRoot(directory: string, root: FileNode | undefined): void {
  chownSync(directory, root?.uid ?? 0, root?.gid ?? 0);
  chmodSync(directory, root?.mode ?? 0o755);
}
