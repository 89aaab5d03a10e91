/** What a COPY or ADD reads, in groups of one place each, and what names all of it for the cache. */
import { isGitAddress } from '../../context/git-url.ts';
import { TsbuildError } from '../../errors.ts';
import type { AddInstruction, CopyInstruction } from '../../parser/instruction.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { downloadGroup } from './add-download.ts';
import { gitGroup } from './add-git.ts';
import type { FileNotes } from './file-notes.ts';
import type { Selection } from './find-sources.ts';
import { contextGroup, heredocGroup, type SourceGroup, stageGroup } from './source-group.ts';
import type { StageRun } from './stage-run.ts';
import type { NamedIdentity } from './step-account.ts';

export interface SourceGroups extends AsyncDisposable {
  readonly list: readonly SourceGroup[];
}

/** One group for each run of sources that are read from one place, so that all stay in their order. */
export function sourceGroups(
  run: StageRun,
  { instruction, from }: { readonly instruction: CopyInstruction | AddInstruction; readonly from: StepSource | undefined },
): SourceGroups {
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

export function keepsPlaces(instruction: CopyInstruction | AddInstruction): boolean {
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

/** `files` gets a line for each file of a context. */
export async function identities(groups: readonly SourceGroup[], files: FileNotes | undefined): Promise<NamedIdentity[]> {
  const all: NamedIdentity[] = [];
  for (const group of groups) all.push({ name: group.name, identity: await group.identity(files?.add) });
  return all;
}

/** What all groups hold, read at the first call; undefined where their identity is that already. */
export function lazyContents(groups: readonly SourceGroup[]): () => Promise<string[] | undefined> {
  let all: Promise<string[]> | undefined;
  const read = async (): Promise<string[]> => {
    const contents: string[] = [];
    for (const group of groups) contents.push(...(await (group.content ?? group.identity)()));
    return contents;
  };
  return async () => {
    if (groups.every(({ content }) => content === undefined)) return undefined;
    all ??= read();
    return await all;
  };
}
