/** COPY and ADD: sources found and checksummed first, so that a hit reads no file twice and a miss copies what was checksummed. */
import path from 'node:path';
import { type CacheKey, type StepIngredients, stepKey } from '../../cache/cache-key.ts';
import { TsbuildError } from '../../errors.ts';
import type { StepLabel } from '../../events.ts';
import { applyAndPack } from '../../layers/apply-and-pack.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { AddInstruction, CopyInstruction } from '../../parser/instruction.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import type { Change } from '../../tree/change.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { cleanWorkdir } from '../plan/config-patch.ts';
import { archiveError, isArchive, unpackChanges } from './add-archive.ts';
import { cachedStep, type StepResult } from './cached-step.ts';
import { type CopyPlan, copyChanges, needDirectory } from './copy-changes.ts';
import type { CopySource } from './copy-sources.ts';
import { type EarlyLayer, earlyLayer, earlyPacking } from './early-layer.ts';
import { type FileMode, parseFileMode } from './file-mode.ts';
import { openFileNotes } from './file-notes.ts';
import { linkStep, type Target } from './link-step.ts';
import type { Packing } from './pack-snapshot.ts';
import type { OpenSources, SourceGroup } from './source-group.ts';
import { identities, keepsPlaces, lazyContents, sourceGroups } from './source-groups.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import type { StageState } from './stage-state.ts';
import { stepAccount } from './step-account.ts';
import { lookUpOwner } from './user.ts';

interface FileStep {
  readonly instruction: CopyInstruction | AddInstruction;
  readonly from: StepSource | undefined;
  /** undefined where nobody wrote the step. */
  readonly label: StepLabel | undefined;
}

/** `instruction` is expanded. Throws CONTEXT_PATH_NOT_FOUND, COPY_CONFLICT, CONTEXT_CHANGED, USER_NOT_FOUND, ARCHIVE_INVALID. */
export async function copyStep(run: StageRun, state: StageState, step: FileStep): Promise<StepResult> {
  const { instruction } = step;
  const cwd = cleanWorkdir(state.config.WorkingDir);
  const { chown = '', chmod = '' } = instruction;
  const destination = absoluteDestination(keepsPlaces(instruction) ? `${instruction.destination}/` : instruction.destination, cwd);
  const plan = { chmod: parseFileMode(chmod), unpack: unpackOf(instruction) };
  await using groups = sourceGroups(run, step);
  const files = openFileNotes();
  const named = await identities(groups.list, files);
  const sources = named.flatMap(({ identity }) => identity);
  const ingredientsOf = (parent: CacheKey, target: Target, from = sources): StepIngredients => {
    const ingredients = { parent, sources: from, destination: target.destination, cwd, chown: target.chown, chmod };
    return instruction.kind === 'add' ? { kind: 'add', ...ingredients, unpack: plan.unpack } : { kind: 'copy', ...ingredients };
  };
  const keyOf = (parent: CacheKey, at: Target): CacheKey => stepKey(ingredientsOf(parent, at));
  const contents = lazyContents(groups.list);
  const contentKeyOf = async (parent: CacheKey, at: Target): Promise<CacheKey | undefined> => {
    const content = await contents();
    return content && stepKey(ingredientsOf(parent, at, content));
  };
  const packing = step.label && run.lastFiles.has(step.label.id) ? earlyPacking(run.resources) : undefined;
  const make = async (active: ActiveSnapshot, target: Target, name: string) => {
    const copying = {
      ...plan,
      ...target,
      groups: groups.list,
      existing: instruction.link ? 'leave' : 'describe',
      of: ofStep(step),
    } as const;
    const early = await copyInto(run, active, { ...copying, packing: packing && { name, packing } });
    try {
      // What was copied must be what the key says; unchanged files are known by their stat and not read again.
      const again = await identities(groups.list, undefined);
      if (again.flatMap(({ identity }) => identity).join() !== sources.join()) throw changedContext();
    } catch (error) {
      await early?.[Symbol.asyncDispose]();
      throw error;
    }
    return early;
  };
  const target = { destination, chown };
  const account = async (key: CacheKey) =>
    stepAccount(state, { key, ingredients: ingredientsOf('', target), sources: named, files: files.lines() });
  const telling = step.label && { label: step.label, origin: state.origin, account };
  if (instruction.link) return await linkStep(run, state, { ...target, key: keyOf, contentKey: contentKeyOf, make, telling });
  const key = keyOf(state.key, target);
  return await cachedStep(run, {
    key,
    contentKey: () => contentKeyOf(state.key, target),
    parent: state.key,
    files: state.files,
    telling,
    make: async (active, name) => await make(active, target, name),
  });
}

function ofStep({ instruction, label }: FileStep): string {
  return `the step ${label?.text ?? instruction.kind.toUpperCase()}`;
}

function changedContext(): TsbuildError {
  return new TsbuildError('CONTEXT_CHANGED', 'Cannot copy: files of the build context changed while they were copied', {
    hint: 'Build again, and ignore directories that other programs write to.',
  });
}

interface Copying {
  readonly groups: readonly SourceGroup[];
  readonly destination: string;
  readonly chown: string;
  readonly chmod: FileMode | undefined;
  readonly unpack: Unpack;
  readonly existing: CopyPlan['existing'];
  /** The step, for warnings. */
  readonly of: string;
  /** Where the layer is wanted as soon as can be. */
  readonly packing: { readonly name: string; readonly packing: Packing } | undefined;
}

async function copyInto({ resources }: StageRun, active: ActiveSnapshot, copying: Copying): Promise<EarlyLayer | undefined> {
  // The active snapshot is still empty: what is below it is what COPY sees.
  using into = resources.snapshots.tree(active.parent?.name);
  const { chown, chmod, destination, groups } = copying;
  const opened: OpenSources[] = [];
  for (const group of groups) opened.push(await group.open());
  if (opened.reduce((count, { sources }) => count + sources.length, 0) > 1) needDirectory(into, destination);
  const owner = chown === '' ? undefined : lookUpOwner(into, chown);
  const plan = { into, destination, owner, chmod, existing: copying.existing, createdNs: CREATED_NS, signal: resources.signal };
  const unpacking: { source?: CopySource } = {};
  try {
    const changes = allChanges(opened, { ...plan, unpack: copying.unpack, unpacking });
    const options = { lower: into, signal: resources.signal, losses: { emit: resources.emit, of: copying.of } };
    if (copying.packing !== undefined && isInOrder(opened, copying.unpack))
      return await earlyLayer(resources, copying.packing, (pack) => applyAndPack(changes, active.upperFd, options, pack));
    await applyChanges(changes, active.upperFd, options);
    return undefined;
  } catch (error) {
    throw unpacking.source === undefined ? error : archiveError(error, unpacking.source);
  }
}

/** Several sources land in the order of a walk if they are files by name; what an archive holds is in any order. */
function isInOrder(groups: readonly OpenSources[], unpack: Unpack): boolean {
  const all = groups.flatMap(({ sources }) => sources);
  if (unpack !== 'none' && all.some(({ node }) => node.type === 'file')) return false;
  if (all.length <= 1) return true;
  return all.every(({ node, place, name }, at) => node.type !== 'directory' && place === undefined && (all[at - 1]?.name ?? '') < name);
}

interface Placing extends Omit<Parameters<typeof copyChanges>[0], 'from' | 'sources'> {
  readonly into: FileTree;
  readonly unpack: Unpack;
  /** The archive at work, for what goes wrong while it is written. */
  readonly unpacking: { source?: CopySource };
  readonly signal: AbortSignal;
}

async function* allChanges(groups: readonly OpenSources[], plan: Placing): AsyncGenerator<Change, void, undefined> {
  for (const { tree: from, sources, archives } of groups) {
    const attempt = archives !== undefined && (plan.unpack === 'all' || plan.unpack === archives);
    if (!attempt) {
      yield* copyChanges({ ...plan, from, sources });
      continue;
    }
    for (const source of sources) {
      if (!(await isArchive(from, source))) {
        yield* copyChanges({ ...plan, from, sources: [source] });
        continue;
      }
      plan.unpacking.source = source;
      yield* unpackChanges({ ...plan, from, source });
      delete plan.unpacking.source;
    }
  }
}

/** Which archives are unpacked: those of the context, all, or none. */
type Unpack = 'local' | 'all' | 'none';

function unpackOf(instruction: CopyInstruction | AddInstruction): Unpack {
  if (instruction.kind === 'copy') return 'none';
  return instruction.unpack === undefined ? 'local' : instruction.unpack ? 'all' : 'none';
}

/** Keeps what says "directory": a trailing slash, `.`, or nothing. */
function absoluteDestination(destination: string, cwd: string): string {
  const absolute = path.posix.join('/', destination.startsWith('/') ? '' : cwd, destination);
  const isDirectory = /(^|\/)\.{0,2}$/.test(destination);
  return isDirectory && !absolute.endsWith('/') ? `${absolute}/` : absolute;
}
