/** The build contexts of one call: the main one and those of `--build-context`, each opened when a step first reads it. */
import path from 'node:path';
import type { Material, MaterialLog } from '../attestations/materials.ts';
import { gitFiles } from '../builder/execute/git-tree.ts';
import type { BuildContext, BuildContexts } from '../builder/execute/resources.ts';
import type { SecretReader } from '../builder/execute/source-secrets.ts';
import { unpackedTree } from '../builder/execute/unpacked-tree.ts';
import { contextKey, type NamedContext, type NamedContexts } from '../builder/plan/named-contexts.ts';
import { openStatIndex } from '../cache/stat-index.ts';
import { type ContextSource, parseContextSource } from '../context/context-source.ts';
import { openDirectoryContext } from '../context/directory-context.ts';
import type { GitAddress } from '../context/git-url.ts';
import { readIgnoreFile } from '../context/read-ignore-file.ts';
import { TsbuildError } from '../errors.ts';
import { isArchiveFile } from '../layers/archive-file.ts';
import type { Session } from '../session.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { downloaded } from './remote-file.ts';

/** A session with what opens sources: secrets, the caller's ssh-agent. */
export interface InputSession extends Pick<Session, 'store' | 'snapshots' | 'signal' | 'emit'> {
  readonly secrets?: SecretReader | undefined;
  readonly ssh: { socketOf(id: string): Promise<string | undefined> };
  /** Of contexts whose address does not say. */
  readonly keepGitDir: boolean;
  /** Gets what contexts were. */
  readonly materials: MaterialLog;
}

/** Something open, until it is disposed of. */
export type OpenContext = BuildContext & Disposable;

/** By contextKey(). Throws REFERENCE_INVALID and USAGE for names and values that cannot be. */
export function namedSources(contexts: Readonly<Record<string, string>>): ReadonlyMap<string, ContextSource> {
  return new Map(
    Object.entries(contexts).map(([name, value]) => {
      const source = parseContextSource(value);
      if (source.kind === 'stdin') throw new TsbuildError('USAGE', `Cannot use standard input as the build context ${name}`);
      return [contextKey(name), source];
    }),
  );
}

/** What planning needs to know of them. */
export function plannedContexts(sources: ReadonlyMap<string, ContextSource>): NamedContexts {
  const planned = ([name, source]: [string, ContextSource]): [string, NamedContext] => [
    name,
    source.kind === 'image' ? { kind: 'image', reference: source.reference } : { kind: 'files' },
  ];
  return new Map([...sources].map(planned));
}

export interface OpenContexts extends BuildContexts, AsyncDisposable {
  /** How the main one (undefined) is opened. */
  set(name: undefined, open: () => Promise<OpenContext>): void;
}

/** Disposing closes all that were opened. */
export function openContexts(session: InputSession, named: ReadonlyMap<string, ContextSource>): OpenContexts {
  const openers = new Map<string | undefined, () => Promise<OpenContext>>();
  for (const [name, source] of named) openers.set(name, async () => await openNamed(session, source));
  const opened = new Map<string | undefined, Promise<OpenContext>>();
  return {
    set: (name, open) => void openers.set(name, open),
    async open(name) {
      const start = openers.get(name);
      if (start === undefined) throw new Error(`No build context ${name ?? ''}`);
      const opening = opened.get(name) ?? start();
      opened.set(name, opening);
      return await opening;
    },
    async [Symbol.asyncDispose]() {
      const all = await Promise.allSettled(opened.values());
      for (const result of all) if (result.status === 'fulfilled') result.value[Symbol.dispose]();
    },
  };
}

async function openNamed(session: InputSession, source: ContextSource): Promise<OpenContext> {
  switch (source.kind) {
    case 'directory':
      return openDirectory(session, source.path, undefined);
    case 'git':
      return await openGit(session, source.address);
    case 'url': {
      using file = await downloaded(session, source.url);
      if (await isArchiveFile(file.open())) return treeContext(await unpackedTree(session, file.open()));
      throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot use ${file.name} as a build context: it is no tar`);
    }
    case 'stdin':
    case 'image':
      throw new Error(`A build context of the kind ${source.kind} has no files of its own`);
  }
}

/** The files of a commit; `.git` is among them where the address or the caller says so. */
export async function openGit(session: InputSession, address: GitAddress): Promise<OpenContext & { readonly material: Material }> {
  const keepGitDir = address.keepGitDir ?? session.keepGitDir;
  const { material, open } = await gitFiles(session, { ...address, keepGitDir });
  session.materials.add(material);
  return { ...treeContext(await open()), material };
}

/** A directory of this machine, less what its ignore file takes out. `dockerfile` may have an ignore file of its own. */
export function openDirectory({ store }: Pick<Session, 'store'>, directory: string, dockerfile: string | undefined): OpenContext {
  const tree = openDirectoryContext(directory, readIgnoreFile(directory, dockerfile));
  const known = openStatIndex(store.root, path.resolve(directory));
  return {
    tree,
    known,
    why(missing) {
      const line = tree.why(missing);
      return line === undefined ? NOT_THERE : `excluded by ${line}`;
    },
    [Symbol.dispose]() {
      known.save();
      tree[Symbol.dispose]();
    },
  };
}

/** Files that are new at each build: no ignore file counts, and nothing of them is remembered. */
export function treeContext(tree: FileTree & Disposable): OpenContext {
  return { tree, known: undefined, why: () => NOT_THERE, [Symbol.dispose]: () => tree[Symbol.dispose]() };
}

const NOT_THERE = 'not in the build context';
