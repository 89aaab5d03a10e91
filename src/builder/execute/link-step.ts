/**
 * COPY and ADD with `--link`: the layer is made by itself, on the bare directories that its destination needs. Its key does not
 * hold the stage it belongs to, so a changed base costs neither a copy nor a packed layer: the same blob goes on top.
 */
import { type CacheKey, stepKey } from '../../cache/cache-key.ts';
import { TsbuildError } from '../../errors.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { type ByteString, display, fromText, parentOf, toText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import { cachedStep, type StepResult } from './cached-step.ts';
import type { EarlyLayer } from './early-layer.ts';
import { type Files, snapshotOf } from './files.ts';
import { recordedStep } from './recorded-step.ts';
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
  contentKey(parent: CacheKey, target: Target): Promise<CacheKey | undefined>;
  make(active: ActiveSnapshot, target: Target, name: string): Promise<EarlyLayer | undefined>;
}

/** The stage's own files are looked at only where neither the step nor the layer is known. Throws COPY_CONFLICT, USER_NOT_FOUND. */
export async function linkStep(run: StageRun, state: StageState, step: LinkStep): Promise<StepResult> {
  const { cache, used } = run.resources;
  const whole = stepKey({ kind: 'link', step: step.key(state.key, step) });
  const wanted = { key: whole, parent: state.key, below: groundFiles };
  const known = recordedStep(run.resources, wanted);
  if (known !== undefined) {
    await rememberStep(run.resources, { key: whole, telling: step.telling }, 'found');
    noteLayer(run, wanted, { known, ground: cache.steps.get(whole)?.ground });
    return { ...known, base: 'ground' };
  }
  const { directories, target } = await findTarget(run, state.files, step);
  const ground = stepKey({ kind: 'ground', directories });
  const result = await cachedStep(run, {
    key: stepKey({ kind: 'link', step: step.key(ground, target) }),
    async contentKey() {
      const key = await step.contentKey(ground, target);
      return key && stepKey({ kind: 'link', step: key });
    },
    parent: ground,
    files: groundFiles(directories),
    telling: step.telling,
    make: async (active, name) => await step.make(active, target, name),
  });
  const { made, packed, snapshot } = result;
  cache.steps.set(whole, {
    snapshot,
    made,
    layer: packed?.layer,
    ground: directories,
    ...(packed?.made === 'elsewhere' && { elsewhere: true }),
  });
  used?.add(wanted, result, directories);
  return { ...result, base: 'ground' };
}

/** On this base, and on its ground: so it is found on another base, too. */
function noteLayer(
  { resources: { used } }: StageRun,
  wanted: { readonly key: CacheKey; readonly parent: CacheKey },
  { known, ground }: { readonly known: StepResult; readonly ground: readonly string[] | undefined },
): void {
  if (used === undefined || ground === undefined || known.made === undefined) return;
  used.add(wanted, known, ground);
  used.add({ key: known.made.key, parent: stepKey({ kind: 'ground', directories: ground }) }, known);
}

function groundFiles(directories: readonly string[] = []): Files {
  return directories.length === 0 ? { kind: 'empty' } : { kind: 'ground', directories };
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
