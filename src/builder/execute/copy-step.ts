/** COPY and ADD: sources found and checksummed first, so that a hit reads no file twice and a miss copies what was checksummed. */
import path from 'node:path';
import { type CacheKey, type StepIngredients, stepKey } from '../../cache/cache-key.ts';
import { isGitAddress } from '../../context/git-url.ts';
import { TsbuildError } from '../../errors.ts';
import type { StepLabel } from '../../events.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { AddInstruction, CopyInstruction } from '../../parser/instruction.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import type { Change } from '../../tree/change.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { cleanWorkdir } from '../plan/config-patch.ts';
import { archiveError, isArchive, unpackChanges } from './add-archive.ts';
import { downloadGroup } from './add-download.ts';
import { gitGroup } from './add-git.ts';
import { cachedStep, type StepResult } from './cached-step.ts';
import { type CopyPlan, copyChanges, needDirectory } from './copy-changes.ts';
import type { CopySource } from './copy-sources.ts';
import { type FileMode, parseFileMode } from './file-mode.ts';
import { type FileNotes, openFileNotes } from './file-notes.ts';
import type { Selection } from './find-sources.ts';
import { linkStep, type Target } from './link-step.ts';
import { contextGroup, heredocGroup, type OpenSources, type SourceGroup, stageGroup } from './source-group.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import type { StageState } from './stage-state.ts';
import { type NamedIdentity, stepAccount } from './step-account.ts';
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
  const named = await identities(groups.list, run.resources.options.explain ? files : undefined);
  const sources = named.flatMap(({ identity }) => identity);
  const ingredientsOf = (parent: CacheKey, target: Target): StepIngredients => {
    const ingredients = { parent, sources, destination: target.destination, cwd, chown: target.chown, chmod };
    return instruction.kind === 'add' ? { kind: 'add', ...ingredients, unpack: plan.unpack } : { kind: 'copy', ...ingredients };
  };
  const keyOf = (parent: CacheKey, at: Target): CacheKey => stepKey(ingredientsOf(parent, at));
  const make = async (active: ActiveSnapshot, target: Target) => {
    await copyInto(run, active, { ...plan, ...target, groups: groups.list, existing: instruction.link ? 'leave' : 'describe' });
    // What was copied must be what the key says; unchanged files are known by their stat and not read again.
    const again = await identities(groups.list, files);
    if (again.flatMap(({ identity }) => identity).join() !== sources.join()) throw changedContext();
  };
  const target = { destination, chown };
  const account = async (key: CacheKey) => {
    if (!files.isFilled()) await identities(groups.list, files);
    return stepAccount(state, { key, ingredients: ingredientsOf('', target), sources: named, files: files.lines() });
  };
  const telling = step.label && { label: step.label, origin: state.origin, account };
  if (instruction.link) return await linkStep(run, state, { ...target, key: keyOf, make, telling });
  const key = keyOf(state.key, target);
  return await cachedStep(run, {
    key,
    files: state.files,
    telling,
    make: async (active) => await make(active, target),
  });
}

/** `files` gets a line for each file of a context. */
async function identities(groups: readonly SourceGroup[], files: FileNotes | undefined): Promise<NamedIdentity[]> {
  files?.start();
  const all: NamedIdentity[] = [];
  for (const group of groups) all.push({ name: group.name, identity: await group.identity(files?.add) });
  return all;
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
}

async function copyInto({ resources }: StageRun, active: ActiveSnapshot, copying: Copying): Promise<void> {
  // The active snapshot is still empty: what is below it is what COPY sees.
  using into = resources.snapshots.tree(active.parents.at(-1)?.name);
  const { chown, chmod, destination, groups } = copying;
  const opened: OpenSources[] = [];
  for (const group of groups) opened.push(await group.open());
  if (opened.reduce((count, { sources }) => count + sources.length, 0) > 1) needDirectory(into, destination);
  const owner = chown === '' ? undefined : lookUpOwner(into, chown);
  const plan = { into, destination, owner, chmod, existing: copying.existing, createdNs: CREATED_NS, signal: resources.signal };
  const unpacking: { source?: CopySource } = {};
  try {
    const changes = allChanges(opened, { ...plan, unpack: copying.unpack, unpacking });
    await applyChanges(changes, active.upperFd, { lower: into, signal: resources.signal });
  } catch (error) {
    throw unpacking.source === undefined ? error : archiveError(error, unpacking.source);
  }
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

/** One group for each run of sources that are read from one place, so that all stay in their order. */
function sourceGroups(run: StageRun, { instruction, from }: FileStep): { list: SourceGroup[] } & AsyncDisposable {
  const list: SourceGroup[] = [];
  const { sources } = instruction;
  const checksum = checksumOf(instruction);
  for (let at = 0; at < sources.length; ) {
    const kind = placeOf(instruction, sources[at]);
    const end =
      kind === 'url' || kind === 'git' ? at + 1 : sources.findIndex((source, index) => index > at && placeOf(instruction, source) !== kind);
    const part = sources.slice(at, end === -1 ? sources.length : end);
    const paths = part.flatMap((source) => (source.kind === 'path' ? source.path : []));
    if (kind === 'heredoc')
      list.push(
        heredocGroup(
          run,
          part.flatMap((source) => (source.kind === 'heredoc' ? source.heredoc : [])),
        ),
      );
    else if (kind === 'url') list.push(downloadGroup(run, paths.join(), checksum));
    else if (kind === 'git')
      list.push(gitGroup(run, paths.join(), { checksum, keepGitDir: keepsGitDir(instruction), exclude: instruction.exclude }));
    else if (from === undefined || from.kind === 'context') list.push(contextGroup(run, from?.name, selectionOf(instruction, paths)));
    else list.push(stageGroup(run, from, selectionOf(instruction, paths)));
    at += part.length;
  }
  return {
    list,
    async [Symbol.asyncDispose]() {
      for (const group of list) await group[Symbol.asyncDispose]();
    },
  };
}

function selectionOf(instruction: CopyInstruction | AddInstruction, paths: readonly string[]): Selection {
  const { exclude, ifExists } = instruction;
  return { paths, exclude, layout: keepsPlaces(instruction) ? 'parents' : 'flat', missing: ifExists ? 'skip' : 'error' };
}

function keepsGitDir(instruction: CopyInstruction | AddInstruction): boolean {
  return instruction.kind === 'add' && instruction.keepGitDir;
}

function keepsPlaces(instruction: CopyInstruction | AddInstruction): boolean {
  return instruction.kind === 'copy' && instruction.parents;
}

/** Where a source, expanded, is read. */
function placeOf(
  { kind }: CopyInstruction | AddInstruction,
  source: CopyInstruction['sources'][number] | undefined,
): 'path' | 'url' | 'git' | 'heredoc' {
  if (source?.kind !== 'path') return 'heredoc';
  if (kind === 'copy') return 'path';
  if (isGitAddress(source.path)) return 'git';
  return /^https?:\/\//i.test(source.path) ? 'url' : 'path';
}

function checksumOf(instruction: CopyInstruction | AddInstruction): string | undefined {
  if (instruction.kind !== 'add' || instruction.checksum === undefined) return undefined;
  const [source] = instruction.sources;
  if (instruction.sources.length === 1 && /^(?:url|git)$/.test(placeOf(instruction, source))) return instruction.checksum;
  throw new TsbuildError('DOCKERFILE_SYNTAX', 'Cannot use --checksum: it is for one source that is a URL');
}

/** Keeps what says "directory": a trailing slash, `.`, or nothing. */
function absoluteDestination(destination: string, cwd: string): string {
  const absolute = path.posix.join('/', destination.startsWith('/') ? '' : cwd, destination);
  const isDirectory = /(^|\/)\.{0,2}$/.test(destination);
  return isDirectory && !absolute.endsWith('/') ? `${absolute}/` : absolute;
}
