/** COPY: sources found and checksummed first, so that a hit reads no file twice and a miss copies what was checksummed. */
import path from 'node:path';
import { stepKey } from '../../cache/cache-key.ts';
import { hasWildcard, matchSources } from '../../context/match-sources.ts';
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { CopyInstruction } from '../../parser/instruction.ts';
import { display, fromText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { cachedStep, type StepResult } from './cached-step.ts';
import { contentChecksum } from './content-checksum.ts';
import { copyChanges } from './copy-changes.ts';
import { type CopySource, findSource } from './copy-sources.ts';
import { snapshotOf } from './files.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import type { StageState } from './stage-state.ts';
import { lookUpOwner } from './user.ts';

/** A COPY with its destination absolute. */
interface PlacedCopy {
  readonly paths: readonly string[];
  readonly destination: string;
  readonly chown: string;
  readonly chmod: string;
}

/** `instruction` is expanded. Throws CONTEXT_PATH_NOT_FOUND, COPY_CONFLICT, CONTEXT_CHANGED, USER_NOT_FOUND. */
export async function copyStep(
  run: StageRun,
  state: StageState,
  step: { instruction: CopyInstruction; from: StepSource | undefined },
): Promise<StepResult> {
  const copy = placedCopy(step.instruction, state.config.WorkingDir ?? '/');
  using origin = step.from === undefined ? contextOrigin(run) : stageOrigin(run, step.from);
  const identity = await origin.identity(copy.paths);
  const key = stepKey({
    kind: 'copy',
    parent: state.key,
    sources: identity,
    destination: copy.destination,
    cwd: state.config.WorkingDir ?? '/',
    chown: copy.chown,
    chmod: copy.chmod,
  });
  return await cachedStep(run.resources, run.inFlight, {
    key,
    files: state.files,
    async make(active) {
      // The active snapshot is still empty: what is below it is what COPY sees.
      using into = run.resources.snapshots.tree(active.parents.at(-1)?.name);
      const sources = await origin.sources(copy.paths);
      const changes = copyChanges({
        from: await origin.tree(),
        sources,
        into,
        destination: copy.destination,
        owner: copy.chown === '' ? undefined : lookUpOwner(into, copy.chown),
        chmod: copy.chmod === '' ? undefined : Number.parseInt(copy.chmod, 8),
        createdNs: CREATED_NS,
      });
      await applyChanges(changes, active.upperFd, { lower: into, signal: run.resources.signal });
      // What was copied must be what the key says; unchanged files are known by their stat and not read again.
      if ((await origin.identity(copy.paths)).join() !== identity.join()) throw changedContext();
    },
  });
}

function changedContext(): TsbuildError {
  return new TsbuildError('CONTEXT_CHANGED', 'Cannot copy: files of the build context changed while they were copied', {
    hint: 'Build again, and ignore directories that other programs write to.',
  });
}

/** Where a COPY reads: what identifies the sources for the cache, and the sources themselves. */
interface Origin extends Disposable {
  identity(paths: readonly string[]): Promise<readonly string[]>;
  sources(paths: readonly string[]): Promise<CopySource[]>;
  tree(): Promise<FileTree>;
}

/** Files of the build context are identified by their content. */
function contextOrigin({ resources }: StageRun): Origin {
  const find = (paths: readonly string[]) => {
    const tree = resources.context.tree();
    return findSources(tree, paths, (missing) => {
      const line = tree.why(fromText(path.posix.join('/', missing).slice(1)));
      return line === undefined ? 'not in the build context' : `excluded by .dockerignore line ${line}`;
    });
  };
  return {
    async identity(paths) {
      const known = resources.context.known();
      return await contentChecksum(resources.context.tree(), await find(paths), { known, signal: resources.signal });
    },
    sources: find,
    tree: async () => resources.context.tree(),
    [Symbol.dispose]() {},
  };
}

/** Files of another stage or image are identified by how that was made, so that a hit need not look at them. */
function stageOrigin(run: StageRun, from: StepSource): Origin {
  let opened: (FileTree & Disposable) | undefined;
  const tree = async () => {
    const { files } = await run.finished(from);
    const snapshot = await snapshotOf(run.resources, files);
    opened ??= run.resources.snapshots.tree(snapshot);
    return opened;
  };
  const name = from.kind === 'stage' ? `stage ${JSON.stringify(run.plan.stages[from.index]?.name)}` : `image ${from.reference}`;
  return {
    identity: async (paths) => ['from', (await run.finished(from)).key, ...paths],
    sources: async (paths) => await findSources(await tree(), paths, () => `not in ${name}`),
    tree,
    [Symbol.dispose]: () => opened?.[Symbol.dispose](),
  };
}

/** A path without a wildcard must be there; a pattern may match nothing (row C7). */
async function findSources(tree: FileTree, paths: readonly string[], why: (missing: string) => string): Promise<CopySource[]> {
  const found: CopySource[] = [];
  for (const text of paths) {
    const matches = hasWildcard(text) ? await matchSources(tree, text) : [fromText(text)];
    for (const match of matches) {
      const source = findSource(tree, match);
      if (source === undefined) {
        throw new TsbuildError('CONTEXT_PATH_NOT_FOUND', `Cannot copy ${JSON.stringify(display(match))}: ${why(text)}`);
      }
      found.push(source);
    }
  }
  return found;
}

function placedCopy({ sources, destination, chown = '', chmod = '' }: CopyInstruction, cwd: string): PlacedCopy {
  if (!/^[0-7]{0,4}$/.test(chmod)) {
    throw new TsbuildError('UNSUPPORTED', `Cannot use --chmod=${chmod}: only an octal mode of up to four digits is supported yet`, {
      hint: 'Write the mode as digits, such as 0644.',
    });
  }
  const paths = sources.map((source) => (source.kind === 'path' ? source.path : ''));
  return { paths, destination: absoluteDestination(destination, cwd), chown, chmod };
}

/** Keeps what says "directory": a trailing slash, `.`, or nothing. */
function absoluteDestination(destination: string, cwd: string): string {
  const absolute = path.posix.join('/', destination.startsWith('/') ? '' : cwd, destination);
  const isDirectory = /(^|\/)\.{0,2}$/.test(destination);
  return isDirectory && !absolute.endsWith('/') ? `${absolute}/` : absolute;
}
