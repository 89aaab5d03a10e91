/**
 * Commits of a remote repository in a bare one of ours: which commit a name means now, and its objects, fetched where they are not here.
 * One directory for each remote, used by one process at a time (flock).
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, existsSync, futimesSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError } from '../errors.ts';
import { isStillNamed, waitForLock } from '../sys/lock.ts';
import { type GitCall, type GitNetwork, needGit, runGit } from './git-command.ts';
import { type GitAddress, isRef, shownGitAddress } from './git-url.ts';

export interface GitAccess {
  /** The state directory. */
  readonly root: string;
  readonly signal: AbortSignal;
  /** Socket of the ssh-agent that ssh addresses may use; undefined: none. */
  sshAgent(): Promise<string | undefined>;
  /** The value of an Authorization header for an address. */
  authorization(address: Pick<GitAddress, 'host' | 'transport' | 'credentials'>): string | undefined;
}

export type GitRemote = Pick<GitAddress, 'remote' | 'host' | 'transport' | 'credentials'>;

export interface ResolvedCommit {
  /** Hex digits. */
  readonly commit: string;
  /** Full name of the branch or tag that is at it; undefined for a commit that was named itself. */
  readonly ref: string | undefined;
  /** Of an annotated tag: the tag's own object. */
  readonly tagObject: string | undefined;
}

const LIST_MS = 2 * 60_000;
const FETCH_MS = 60 * 60_000;
const FILES_MS = 30 * 60_000;
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * What `address.ref` is at the remote now: a branch before a tag before any other reference, as git-checkout(1) has it; the beginning of a
 * commit's name where there is no such reference. Throws FETCH_FAILED, DIGEST_MISMATCH where `address.checksum` is another commit's.
 */
export async function resolveCommit(access: GitAccess, address: GitAddress): Promise<ResolvedCommit> {
  const resolved = await resolveRef(access, address);
  const { checksum } = address;
  if (checksum !== undefined && !resolved.commit.startsWith(checksum) && resolved.tagObject?.startsWith(checksum) !== true) {
    throw new TsbuildError('DIGEST_MISMATCH', `Cannot use ${shownGitAddress(address)}: it is at ${resolved.commit}, not at ${checksum}`);
  }
  return resolved;
}

async function resolveRef(access: GitAccess, address: GitAddress): Promise<ResolvedCommit> {
  const { ref, refKind } = address;
  if (ref !== undefined && refKind === 'any' && COMMIT.test(ref)) return { commit: ref, ref: undefined, tagObject: undefined };
  const names = candidates(ref, refKind);
  const patterns = names.map((name) => `${name}*`);
  const args = ['ls-remote', '--quiet', '--symref', '--', address.remote, ...patterns];
  const call = await remoteCall(access, address, { args, timeoutMs: LIST_MS });
  const advertised = parseAdvertised(await needGit(call, `read ${shownGitAddress(address)}`));
  for (const name of names) {
    const peeled = advertised.get(`${name}^{}`);
    const own = advertised.get(name);
    const full = name === 'HEAD' ? (advertised.get('ref of HEAD') ?? name) : name;
    if (own !== undefined) return { commit: peeled ?? own, ref: full, tagObject: peeled === undefined ? undefined : own };
  }
  if (ref !== undefined && refKind === 'any' && /^[0-9a-f]{7,63}$/.test(ref)) return await resolveShort(access, address, ref);
  throw new TsbuildError('FETCH_FAILED', `Cannot find ${ref ?? 'a default branch'} in ${shownGitAddress(address)}`, {
    hint: 'Name a branch, a tag or a commit after #.',
  });
}

function candidates(ref: string | undefined, kind: GitAddress['refKind']): string[] {
  if (ref === undefined || ref === 'HEAD') return ['HEAD'];
  if (ref.startsWith('refs/')) return [ref];
  if (kind === 'branch') return [`refs/heads/${ref}`];
  if (kind === 'tag') return [`refs/tags/${ref}`];
  return [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`];
}

/** Name → commit. Only names that were asked for are ever looked up in it: what else a server says reaches no command. */
function parseAdvertised(stdout: Buffer): Map<string, string> {
  const lines = stdout.toString('latin1').split('\n');
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const [commit = '', name = ''] = line.split('\t');
      // As hostile as the rest: it is used only where it is the name of a branch.
      if (name === 'HEAD' && commit.startsWith('ref: refs/heads/')) return isRef(commit.slice(5)) ? [['ref of HEAD', commit.slice(5)]] : [];
      return COMMIT.test(commit) ? [[name, commit]] : [];
    }),
  );
}

/** No server is asked for what it does not list by the beginning of its name: everything is fetched. */
async function resolveShort(access: GitAccess, address: GitAddress, short: string): Promise<ResolvedCommit> {
  return await withRepository(access, address, async (directory) => {
    const repository = path.join(directory, 'full.git');
    await fetchAll(access, address, repository);
    const found = await runGit(
      local(access, { args: [`--git-dir=${repository}`, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${short}^{commit}`] }),
    );
    const commit = found.stdout.toString('latin1').trim();
    if (found.code === 0 && COMMIT.test(commit)) return { commit, ref: undefined, tagObject: undefined };
    throw new TsbuildError('FETCH_FAILED', `Cannot find ${short} in ${shownGitAddress(address)}: no branch, no tag, and not one commit`);
  });
}

/** Calls `use` with a repository (its git directory) that has the commit and its files. Throws FETCH_FAILED. */
export async function withCommit<T>(
  access: GitAccess,
  remote: GitRemote,
  wanted: Pick<ResolvedCommit, 'commit' | 'ref'>,
  use: (repository: string) => Promise<T>,
): Promise<T> {
  return await withRepository(access, remote, async (directory) => await use(await fetchCommit(access, remote, { ...wanted, directory })));
}

/** The commit alone; where the server gives none by its name, what is now at the reference; else all branches and tags. */
async function fetchCommit(
  access: GitAccess,
  remote: GitRemote,
  { commit, ref, directory }: Pick<ResolvedCommit, 'commit' | 'ref'> & { readonly directory: string },
): Promise<string> {
  const full = path.join(directory, 'full.git');
  const shallow = path.join(directory, 'shallow.git');
  for (const repository of [shallow, full]) if (await hasCommit(access, repository, commit)) return repository;
  await makeRepository(access, shallow);
  for (const source of [commit, ...(ref === undefined ? [] : [ref])]) {
    const args = [`--git-dir=${shallow}`, ...FETCH, '--depth=1', '--', remote.remote, `+${source}:${kept(commit)}.new`];
    const { code } = await runGit(await remoteCall(access, remote, { args, timeoutMs: FETCH_MS }));
    if (code === 0 && (await keepCommit(access, shallow, commit, `${kept(commit)}.new`))) return shallow;
  }
  await fetchAll(access, remote, full);
  if (await keepCommit(access, full, commit, commit)) return full;
  throw new TsbuildError('FETCH_FAILED', `Cannot find the commit ${commit} in ${shownGitAddress(remote)}: no branch or tag has it`);
}

const FETCH = ['fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head', '--force'];

/** A reference is written when all objects are here: it tells so after a crash. */
function kept(commit: string): string {
  return `refs/tsbuild/${commit}`;
}

async function hasCommit(access: GitAccess, repository: string, commit: string): Promise<boolean> {
  const args = [`--git-dir=${repository}`, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${kept(commit)}^{commit}`];
  const { code, stdout } = await runGit(local(access, { args }));
  return code === 0 && stdout.toString('latin1').trim() === commit;
}

async function keepCommit(access: GitAccess, repository: string, commit: string, source: string): Promise<boolean> {
  const args = [`--git-dir=${repository}`, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${source}^{commit}`];
  const { code, stdout } = await runGit(local(access, { args }));
  if (code !== 0 || stdout.toString('latin1').trim() !== commit) return false;
  await needGit(local(access, { args: [`--git-dir=${repository}`, 'update-ref', kept(commit), commit] }), `keep the commit ${commit}`);
  return true;
}

async function fetchAll(access: GitAccess, remote: GitRemote, repository: string): Promise<void> {
  await makeRepository(access, repository);
  const args = [
    `--git-dir=${repository}`,
    ...FETCH,
    '--prune',
    '--',
    remote.remote,
    '+refs/heads/*:refs/all/heads/*',
    '+refs/tags/*:refs/all/tags/*',
  ];
  await needGit(await remoteCall(access, remote, { args, timeoutMs: FETCH_MS }), `fetch ${shownGitAddress(remote)}`);
}

/** Without templates: no hook, no attributes file. One that is there is left as it is. */
async function makeRepository(access: GitAccess, repository: string): Promise<void> {
  const args = ['init', '--quiet', '--bare', '--template=', '--initial-branch=none', repository];
  await needGit(local(access, { args }), 'make a repository');
}

async function withRepository<T>(access: GitAccess, { remote }: GitRemote, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = path.join(access.root, 'cache', 'git', createHash('sha256').update(remote).digest('hex'));
  for (;;) {
    const lock = openRepositoryLock(directory, remote);
    try {
      await waitForLock(lock, 'exclusive', access.signal);
      // A collection may have taken the directory away: then there is a new one.
      if (isStillNamed(lock, path.join(directory, 'lock'))) return await use(directory);
    } finally {
      closeSync(lock);
    }
  }
}

/** Its time says when the repository was last used. `remote`: an address without credentials, kept for those who ask what takes the space. */
function openRepositoryLock(directory: string, remote: string): number {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const lock = openSync(path.join(directory, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    futimesSync(lock, Date.now() / 1000, Date.now() / 1000);
    if (!existsSync(path.join(directory, 'remote'))) writeFileSync(path.join(directory, 'remote'), remote, { mode: 0o600 });
    return lock;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return openRepositoryLock(directory, remote);
    throw error;
  }
}

/** A command on files that are here. */
export function local({ signal }: Pick<GitAccess, 'signal'>, call: Pick<GitCall, 'args' | 'cwd' | 'env'>): GitCall {
  return { ...call, network: 'none', signal, timeoutMs: FILES_MS };
}

async function remoteCall(access: GitAccess, remote: GitRemote, call: Pick<GitCall, 'args' | 'timeoutMs'>): Promise<GitCall> {
  const network: GitNetwork = {
    transport: remote.transport,
    origin: `${remote.transport}://${remote.host}`,
    authorization: access.authorization(remote),
    sshAgent: remote.transport === 'ssh' ? await access.sshAgent() : undefined,
  };
  return { ...call, network, signal: access.signal };
}
