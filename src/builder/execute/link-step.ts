/**
 * COPY and ADD with `--link`: the layer is made by itself, on the bare directories that its destination needs. Its key does not
 * hold the stage it belongs to, so a changed base costs neither a copy nor a packed layer: the same blob goes on top.
 */
import { type CacheKey, stepKey } from '../../cache/cache-key.ts';
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { type ByteString, display, fromText, parentOf, toText } from '../../tree/byte-string.ts';
import type { Change } from '../../tree/change.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import { cachedStep, recordedStep, type StepResult } from './cached-step.ts';
import { type Files, snapshotOf } from './files.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import type { StageState } from './stage-state.ts';
import { rememberStep, type Telling } from './tell-miss.ts';
import { lookUpOwner } from './user.ts';
import { missingDirectories } from './workdir-step.ts';

/** What of a COPY depends on the stage's files. */
export interface Target {
  /** Absolute. */
  readonly destination: string;
  readonly chown: string;
}

export interface LinkStep extends Target {
  readonly telling: Telling | undefined;
  key(parent: CacheKey, target: Target): CacheKey;
  make(active: ActiveSnapshot, target: Target): Promise<void>;
}

/** The stage's own files are looked at only where neither the step nor the layer is known. Throws COPY_CONFLICT, USER_NOT_FOUND. */
export async function linkStep(run: StageRun, state: StageState, step: LinkStep): Promise<StepResult> {
  const { cache } = run.resources;
  const whole = stepKey({ kind: 'link', step: step.key(state.key, step) });
  const known = recordedStep(run.resources, whole);
  if (known !== undefined) {
    await rememberStep(run.resources, { key: whole, telling: step.telling }, 'found');
    return { ...known, base: 'ground' };
  }
  const { directories, target } = await findTarget(run, state.files, step);
  const ground = await makeGround(run, directories);
  const result = await cachedStep(run, {
    key: stepKey({ kind: 'link', step: step.key(ground.key, target) }),
    files: ground.files,
    telling: step.telling,
    make: async (active) => await step.make(active, target),
  });
  cache.steps.set(whole, { snapshot: result.snapshot });
  return { ...result, base: 'ground' };
}

/** The target in words that mean the same on another base, and the directories of it that are there. */
async function findTarget(run: StageRun, files: Files, step: Target): Promise<{ directories: string[]; target: Target }> {
  using tree = run.resources.snapshots.tree(await snapshotOf(run.resources, files));
  const { path } = resolvePath(tree, fromText(step.destination), 'follow');
  const text = toText(path);
  if (fromText(text) !== path) {
    throw new TsbuildError('UNSUPPORTED', `Cannot copy with --link to /${display(path)}: the name is not UTF-8`, {
      hint: 'Leave --link away: the image has the same files.',
    });
  }
  const owner = step.chown === '' ? undefined : lookUpOwner(tree, step.chown);
  const target = {
    destination: step.destination.endsWith('/') && text !== '' ? `/${text}/` : `/${text}`,
    chown: owner === undefined ? '' : `${owner.uid}:${owner.gid}`,
  };
  return { directories: directoriesAt(tree, path), target };
}

/** Those of the path and what is above it that are there, the uppermost first. */
function directoriesAt(tree: FileTree, path: ByteString): string[] {
  if (path === '') return [];
  // Throws where something else than a directory is on the way.
  missingDirectories(tree, parentOf(path), { owner: { uid: 0, gid: 0 }, createdNs: CREATED_NS });
  const above = directoriesAt(tree, parentOf(path));
  return tree.stat(path)?.type === 'directory' ? [...above, toText(path)] : above;
}

async function makeGround(run: StageRun, directories: readonly string[]): Promise<{ key: CacheKey; files: Files }> {
  const key = stepKey({ kind: 'ground', directories });
  if (directories.length === 0) return { key, files: { kind: 'empty' } };
  const { snapshot } = await cachedStep(run, {
    key,
    telling: undefined,
    files: { kind: 'empty' },
    async make(active) {
      await applyChanges(directories.map(bareDirectory), active.upperFd, { signal: run.resources.signal });
    },
  });
  return { key, files: { kind: 'snapshot', name: snapshot } };
}

function bareDirectory(path: string): Change {
  const times = { mtimeNs: CREATED_NS, ctimeNs: CREATED_NS };
  return {
    kind: 'add',
    path: fromText(path),
    node: { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, ...times },
    xattrs: new Map(),
  };
}
