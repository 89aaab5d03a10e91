/** Sources of a COPY or ADD that are read from one tree: what names them for the cache, and then the files themselves. */
import { createHash } from 'node:crypto';
import { CONTEXT_PART } from '../../cache/explain-miss.ts';
import type { Heredoc } from '../../parser/instruction.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { contentChecksum, type NoteEntry } from './content-checksum.ts';
import type { CopySource } from './copy-sources.ts';
import { snapshotOf } from './files.ts';
import { findSources, type Selection } from './find-sources.ts';
import { heredocTree } from './heredoc-tree.ts';
import type { BuildContext } from './resources.ts';
import type { StageRun } from './stage-run.ts';

export interface SourceGroup extends AsyncDisposable {
  /** The place as it is shown. */
  readonly name: string;
  /** Asked for first: it goes into the step's key. `note` is told each file of a context. */
  identity(note?: NoteEntry): Promise<readonly string[]>;
  /** The same by what the files are, where `identity` says how they were made; reads them. */
  content?(): Promise<readonly string[]>;
  /** Asked for only where the cache does not have the step. */
  open(): Promise<OpenSources>;
}

export interface OpenSources {
  readonly tree: FileTree;
  readonly sources: readonly CopySource[];
  /** Where an archive among the sources comes from; undefined: it is a file like any other. */
  readonly archives?: 'local' | 'remote';
}

/** Files of a build context, the main one where `name` is undefined, are identified by their content. */
export function contextGroup({ resources }: StageRun, name: string | undefined, selection: Selection): SourceGroup {
  const { contexts, signal } = resources;
  const find = async ({ tree, why }: BuildContext) => await findSources(tree, selection, why);
  return {
    name: `${CONTEXT_PART}${name === undefined ? 'the build context' : `context ${name}`}`,
    async identity(note) {
      const context = await contexts.open(name);
      return await contentChecksum(context.tree, await find(context), { known: context.known, signal, note });
    },
    async open() {
      const context = await contexts.open(name);
      return { tree: context.tree, sources: await find(context), archives: 'local' };
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Files of another stage or image are identified by how that was made, so that a hit need not look at them. */
export function stageGroup(run: StageRun, from: Exclude<StepSource, { kind: 'context' }>, selection: Selection): SourceGroup {
  let opened: (FileTree & Disposable) | undefined;
  const name = from.kind === 'stage' ? `stage ${JSON.stringify(run.plan.stages[from.index]?.name)}` : `image ${from.reference}`;
  const open = async (): Promise<OpenSources> => {
    const { files } = await run.finished(from);
    opened ??= run.resources.snapshots.tree(await snapshotOf(run.resources, files));
    return { tree: opened, sources: await findSources(opened, selection, () => `not in ${name}`) };
  };
  return {
    name,
    identity: async () => ['from', (await run.finished(from)).key, JSON.stringify(selection)],
    async content() {
      const { tree, sources } = await open();
      return ['content', ...(await contentChecksum(tree, sources, { signal: run.resources.signal }))];
    },
    open,
    async [Symbol.asyncDispose]() {
      opened?.[Symbol.dispose]();
    },
  };
}

/** Here-documents, expanded: each is a file with the name of its delimiter. */
export function heredocGroup({ resources }: StageRun, heredocs: readonly Heredoc[]): SourceGroup {
  return {
    name: 'the here-document',
    identity: async () => heredocs.flatMap(({ name, body }) => ['heredoc', name, createHash('sha256').update(body).digest('hex')]),
    async open() {
      return heredocTree(heredocs, resources.store.root);
    },
    async [Symbol.asyncDispose]() {},
  };
}
