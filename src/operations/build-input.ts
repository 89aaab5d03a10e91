/** What a build reads: the text of its Dockerfile and its contexts, as one value with a lifetime. */

import path from 'node:path';
import { type Material, type MaterialLog, openMaterialLog } from '../attestations/materials.ts';
import type { BuildContexts, Secrets, SshAgents } from '../builder/execute/resources.ts';
import { unpackedTree } from '../builder/execute/unpacked-tree.ts';
import type { NamedContexts } from '../builder/plan/named-contexts.ts';
import { type ContextSource, parseContextSource } from '../context/context-source.ts';
import type { GitAddress } from '../context/git-url.ts';
import { type DockerfileText, readDockerfile } from '../context/read-dockerfile.ts';
import { dockerfileText, readDockerfileIn } from '../context/read-remote-dockerfile.ts';
import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';
import { isArchiveFile } from '../layers/archive-file.ts';
import type { Session } from '../session.ts';
import {
  type InputSession,
  namedSources,
  type OpenContext,
  openContexts,
  openDirectory,
  openGit,
  plannedContexts,
  treeContext,
} from './build-contexts.ts';
import { downloaded, type RemoteFile, standardInput } from './remote-file.ts';
import { openSecrets, type SecretSource } from './secrets.ts';
import { openSshAgents, type SshSource } from './ssh-agents.ts';

/** Where a Dockerfile and what it reads come from. */
export interface InputOptions {
  /**
   * What COPY reads: a directory, `-` (a tar on standard input, or a Dockerfile there and no files), the address of a git
   * repository, the http(s) address of a tar or of a Dockerfile.
   */
  readonly context: string;
  /**
   * The Dockerfile; by default `Dockerfile` in the context. A path of this machine where the context is a directory, else a path in
   * the context; `-` (standard input) and http(s) addresses in either case.
   */
  readonly dockerfile?: string | undefined;
  /** More contexts by name, which win over stages and images of that name; values as `context`, `docker-image://` and `oci-layout://`. */
  readonly contexts?: Readonly<Record<string, string>> | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** By id, for RUN --mount=type=secret, and for sources that want a password. */
  readonly secrets?: Readonly<Record<string, SecretSource>> | undefined;
  /** By id, for RUN --mount=type=ssh, and `default` for git: paths of an agent's socket or of private keys. */
  readonly ssh?: Readonly<Record<string, SshSource>> | undefined;
}

export interface BuildInput extends AsyncDisposable {
  readonly dockerfile: DockerfileText;
  readonly contexts: BuildContexts;
  readonly named: NamedContexts;
  readonly secrets: Secrets;
  readonly ssh: SshAgents;
  /** What came from elsewhere, and what will. */
  readonly materials: MaterialLog;
  readonly origin: InputOrigin;
}

/** Where the main context and the Dockerfile came from, without a path of this machine. */
export interface InputOrigin {
  /** Of a context that is not of this machine. */
  readonly source: Material | undefined;
  /** Of the Dockerfile: its name in its directory, or its path in the source. */
  readonly entryPoint: string | undefined;
  /** What was read of this machine: `context`, `dockerfile`, names of contexts. */
  readonly locals: readonly string[];
}

/** Reads the Dockerfile, and of contexts as little as that takes. Throws DOCKERFILE_NOT_FOUND, CONTEXT_NOT_FOUND, FETCH_FAILED, USAGE. */
export async function openBuildInput(callers: Session, options: InputOptions): Promise<BuildInput> {
  const keys = { secrets: openSecrets(options.secrets ?? {}), ssh: openSshAgents(options.ssh ?? {}) };
  const named = namedSources(options.contexts ?? {});
  const materials = openMaterialLog();
  const session = inputSession(callers, { ...keys, materials }, options);
  const contexts = openContexts(session, named);
  const close = async (): Promise<void> => {
    await contexts[Symbol.asyncDispose]();
    keys.ssh[Symbol.dispose]();
  };
  try {
    const source = mainSource(options);
    const file = await separateDockerfile(session, options);
    const main = await openMain(session, source, { ...options, isDockerfileGiven: file !== undefined });
    contexts.set(undefined, main.open);
    // What has been read already is to be closed, even if no step asks for it.
    if (main.isRead) await contexts.open(undefined);
    const dockerfile = file ?? main.dockerfile ?? readDockerfileIn((await contexts.open(undefined)).tree, options.dockerfile);
    const origin = { ...originOf(source, named, { ...options, file: dockerfile.file }), source: main.material?.() };
    return { dockerfile, contexts, named: plannedContexts(named), ...keys, materials, origin, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The Dockerfile without a session, where it and its context lie on this machine; undefined elsewhere. */
export function localDockerfile(options: InputOptions): DockerfileText | undefined {
  const source = mainSource(options);
  if (source.kind !== 'directory' || isSeparate(options.dockerfile)) return undefined;
  return readDockerfile(source.path, options.dockerfile);
}

/** The directory that the main context is, and the Dockerfile in this machine's files, whose ignore file counts; undefined elsewhere. */
export function localDirectory(options: InputOptions): { readonly path: string; readonly dockerfile: string | undefined } | undefined {
  const source = mainSource(options);
  if (source.kind !== 'directory') return undefined;
  return {
    path: source.path,
    dockerfile: isSeparate(options.dockerfile) ? undefined : (options.dockerfile ?? `${source.path}/Dockerfile`),
  };
}

/** For addresses of ssh the caller's agent, as for docker; an ADD has it with --ssh only. */
function inputSession(
  session: Session,
  keys: Pick<BuildInput, 'secrets' | 'ssh' | 'materials'>,
  { buildArgs = {} }: InputOptions,
): InputSession {
  const { store, signal, emit } = session;
  return {
    ...{ store, signal, emit, secrets: keys.secrets, materials: keys.materials },
    ssh: { socketOf: async (id) => (await keys.ssh.socketOf(id)) ?? process.env['SSH_AUTH_SOCK'] },
    get snapshots() {
      return session.snapshots;
    },
    keepGitDir: goBoolean(buildArgs['BUILDKIT_CONTEXT_KEEP_GIT_DIR'] ?? '') === true,
  };
}

interface MainContext {
  readonly isRead?: true;
  readonly dockerfile?: DockerfileText | undefined;
  /** What it was, where it came from elsewhere and has been opened. */
  readonly material?: () => Material | undefined;
  open(): Promise<OpenContext>;
}

function mainSource({ context, dockerfile }: InputOptions): ContextSource {
  const source = parseContextSource(context);
  if (source.kind === 'stdin' && dockerfile === '-')
    throw new TsbuildError('USAGE', 'Cannot read both the Dockerfile and the build context from standard input');
  if (source.kind !== 'image') return source;
  throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot use an image as the main build context: ${context.slice(0, 200)}`, {
    hint: 'Give it a name: --build-context base=docker-image://...',
  });
}

function isSeparate(dockerfile: string | undefined): dockerfile is string {
  return dockerfile === '-' || /^https?:\/\//i.test(dockerfile ?? '');
}

/** A Dockerfile that is neither in the context nor in this machine's files. */
async function separateDockerfile(session: InputSession, { dockerfile }: InputOptions): Promise<DockerfileText | undefined> {
  if (!isSeparate(dockerfile)) return undefined;
  if (dockerfile !== '-' && !URL.canParse(dockerfile))
    throw new TsbuildError('DOCKERFILE_NOT_FOUND', 'Cannot read the Dockerfile: not a URL');
  using file = dockerfile === '-' ? await standardInput(session) : await downloaded(session, new URL(dockerfile));
  return dockerfileText(file.name, file);
}

async function openMain(
  session: InputSession,
  source: ContextSource,
  options: InputOptions & { readonly isDockerfileGiven: boolean },
): Promise<MainContext> {
  switch (source.kind) {
    case 'directory': {
      const local = localDirectory(options);
      const dockerfile = localDockerfile(options);
      return { dockerfile, open: async () => openDirectory(session, source.path, local?.dockerfile) };
    }
    case 'stdin':
      return await openArchive(session, await standardInput(session), options);
    case 'url':
      return await openArchive(session, await downloaded(session, source.url), options);
    case 'git':
      return gitMain(session, source.address);
    case 'image':
      throw new Error('An image is no main context');
  }
}

function gitMain(session: InputSession, address: GitAddress): MainContext {
  let material: Material | undefined;
  return {
    material: () => material,
    async open() {
      const opened = await openGit(session, address);
      material = opened.material;
      return opened;
    },
  };
}

function originOf(
  { kind }: ContextSource,
  named: ReadonlyMap<string, ContextSource>,
  { dockerfile, file }: { readonly dockerfile?: string | undefined; readonly file: string },
): Omit<InputOrigin, 'source'> {
  const isLocal = kind === 'directory' || kind === 'stdin';
  const directories = [...named].filter(([, source]) => source.kind === 'directory').map(([name]) => name);
  const isDockerfileLocal = dockerfile === '-' || (isLocal && !isSeparate(dockerfile));
  return {
    entryPoint:
      dockerfile === '-' ? undefined : isLocal || isSeparate(dockerfile) ? path.posix.basename(file) : (dockerfile ?? 'Dockerfile'),
    locals: [...(isLocal ? ['context'] : []), ...(isDockerfileLocal ? ['dockerfile'] : []), ...directories],
  };
}

/** A tar, or the text of a Dockerfile: then there are no files. */
async function openArchive(
  session: InputSession,
  file: RemoteFile,
  options: { readonly isDockerfileGiven: boolean },
): Promise<MainContext> {
  using _file = file;
  if (await isArchiveFile(file.open())) {
    const tree = await unpackedTree(session, file.open());
    return { isRead: true, material: () => file.material, open: async () => treeContext(tree) };
  }
  if (options.isDockerfileGiven) throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot use ${file.name} as the build context: it is no tar`);
  const dockerfile = dockerfileText(file.name, file);
  return { dockerfile, material: () => file.material, open: async () => treeContext(session.snapshots.tree(undefined)) };
}
