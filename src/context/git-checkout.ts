/** The files of a commit, with those of its submodules, written into a directory of ours. Source: gitmodules(5), git-read-tree(1). */
import { randomBytes } from 'node:crypto';
import { lstatSync, rmSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError } from '../errors.ts';
import { needGit, runGit } from './git-command.ts';
import { type GitAccess, type GitRemote, local, type ResolvedCommit, withCommit } from './git-repository.ts';
import { parseGitAddress, shownGitAddress } from './git-url.ts';

export interface Checkout {
  /** Absolute, empty, and written by nobody else. */
  readonly directory: string;
  readonly submodules: boolean;
  /** Leave a `.git` there that git can work with, of this commit alone. */
  readonly keepGitDir: boolean;
}

/** Modes are 0644, 0755 and links, whoever calls. Returns the commit's time in seconds. Throws FETCH_FAILED. */
export async function checkOut(access: GitAccess, remote: GitRemote, commit: ResolvedCommit, checkout: Checkout): Promise<number> {
  return await checkOutCommit(access, { remote, commit, checkout, depth: 0, count: { submodules: 0 } });
}

const DEPTH_MAX = 10;
const SUBMODULES_MAX = 1000;

interface Work {
  readonly remote: GitRemote;
  readonly commit: ResolvedCommit;
  readonly checkout: Checkout;
  readonly depth: number;
  readonly count: { submodules: number };
}

async function checkOutCommit(access: GitAccess, work: Work): Promise<number> {
  const { checkout, commit, remote } = work;
  const found = await withCommit(access, remote, commit, async (repository) => {
    if (checkout.keepGitDir) await cloneInto(access, repository, work);
    else await readTree(access, repository, work);
    const time = await needGit(
      local(access, { args: [`--git-dir=${repository}`, 'log', '-1', '--format=%ct', commit.commit] }),
      'read a commit',
    );
    return { time: Number(time.toString().trim()), submodules: checkout.submodules ? await submodulesOf(access, repository, work) : [] };
  });
  // Not before its own lock is given back: a submodule may be of the same repository.
  for (const submodule of found.submodules) await checkOutSubmodule(access, submodule, work);
  return found.time;
}

async function readTree(access: GitAccess, repository: string, { checkout, commit }: Work): Promise<void> {
  const index = path.join(repository, `index-${randomBytes(8).toString('hex')}`);
  const args = [`--git-dir=${repository}`, `--work-tree=${checkout.directory}`, 'read-tree', '-u', '--reset', commit.commit];
  try {
    await needGit(local(access, { args, cwd: checkout.directory, env: { GIT_INDEX_FILE: index } }), `check out ${commit.commit}`);
  } finally {
    rmSync(index, { force: true });
  }
}

/** As BuildKit leaves it: one commit, the remote's name and address, and the branch that was asked for. */
async function cloneInto(access: GitAccess, repository: string, { checkout, commit, remote }: Work): Promise<void> {
  const { directory: cwd } = checkout;
  const branch = commit.ref?.startsWith('refs/heads/') === true ? commit.ref : undefined;
  const steps = [
    ['init', '--quiet', '--template=', '--initial-branch=master', cwd],
    ['remote', 'add', 'origin', '--', shownGitAddress(remote)],
    [
      'fetch',
      '--quiet',
      '--no-tags',
      '--depth=1',
      '--update-head-ok',
      '--',
      `file://${repository}`,
      `+refs/tsbuild/${commit.commit}:${branch ?? 'refs/tsbuild'}`,
    ],
    ['checkout', '--quiet', '--detach', commit.commit],
    ...(branch === undefined ? [['update-ref', '-d', 'refs/tsbuild']] : []),
  ];
  for (const args of steps) await needGit(local(access, { args, cwd }), `check out ${commit.commit}`);
  for (const left of ['FETCH_HEAD', 'ORIG_HEAD', 'logs']) rmSync(path.join(cwd, '.git', left), { recursive: true, force: true });
}

interface Submodule {
  readonly path: string;
  readonly commit: string;
  readonly url: string;
}

/** The links to commits in the tree, with the addresses that .gitmodules gives them. Nothing of it reaches git as it is. */
async function submodulesOf(access: GitAccess, repository: string, { commit, remote }: Work): Promise<Submodule[]> {
  const git = [`--git-dir=${repository}`];
  const tree = await needGit(local(access, { args: [...git, 'ls-tree', '-r', '-z', '--full-tree', commit.commit] }), 'list a commit');
  const links = tree
    .toString()
    .split('\0')
    .flatMap((line) => {
      const [, id, name] = /^160000 commit ([0-9a-f]{40}|[0-9a-f]{64})\t(.*)$/s.exec(line) ?? [];
      return id === undefined || name === undefined ? [] : [{ commit: id, path: name }];
    });
  if (links.length === 0) return [];
  const args = [...git, 'config', '-z', `--blob=${commit.commit}:.gitmodules`, '--get-regexp', '^submodule\\..*\\.(path|url)$'];
  const urls = parseModules((await runGit(local(access, { args }))).stdout.toString());
  return links.map((link) => {
    const url = urls.get(link.path);
    if (url !== undefined) return { ...link, url };
    throw submoduleError(link.path, remote, '.gitmodules has no address for it');
  });
}

/** Path → address; of what is given twice the last counts, as for git. */
function parseModules(output: string): Map<string, string> {
  const byName = new Map<string, { path?: string; url?: string }>();
  for (const record of output.split('\0')) {
    const end = record.indexOf('\n');
    const [, name, key] = /^submodule\.(.*)\.(path|url)$/s.exec(end === -1 ? record : record.slice(0, end)) ?? [];
    if (name === undefined || key === undefined || end === -1) continue;
    byName.set(name, { ...byName.get(name), [key]: record.slice(end + 1) });
  }
  return new Map([...byName.values()].flatMap(({ path: at, url }) => (at === undefined || url === undefined ? [] : [[at, url] as const])));
}

async function checkOutSubmodule(access: GitAccess, submodule: Submodule, work: Work): Promise<void> {
  const { checkout, depth, count } = work;
  const refuse = (reason: string): never => {
    throw submoduleError(submodule.path, work.remote, reason);
  };
  if (depth >= DEPTH_MAX) refuse(`it is nested deeper than ${DEPTH_MAX}`);
  if (++count.submodules > SUBMODULES_MAX) refuse(`there are more than ${SUBMODULES_MAX}`);
  const parts = submodule.path.split('/');
  // CVE-2025-48384: git and what it wrote may not agree on a name that ends with a carriage return.
  if (
    /[\x00-\x1f\x7f\\]/.test(submodule.path) ||
    parts.some((part) => part === '' || part === '.' || part === '..' || /^\.git$/i.test(part))
  )
    refuse('its path is not clean');
  let at = checkout.directory;
  for (const part of parts) {
    at = path.join(at, part);
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) refuse('its path is no directory');
  }
  const remote = submoduleRemote(submodule, work.remote, refuse);
  const commit = { commit: submodule.commit, ref: undefined, tagObject: undefined };
  await checkOutCommit(access, { ...work, remote, commit, checkout: { ...checkout, directory: at, keepGitDir: false }, depth: depth + 1 });
}

/** https, ssh and git; http only where the repository came over it. Credentials in an address go to its host alone. */
function submoduleRemote({ url }: Submodule, parent: GitRemote, refuse: (reason: string) => never): GitRemote {
  const address = /^\.\.?\//.test(url) ? relativeTo(parent.remote, url, refuse) : url;
  if (/[?#]/.test(address) || !/^(?:https?|ssh|git):\/\/|^[\w.-]+@[\w.-]+:/i.test(address))
    refuse('its address is none of https, ssh or git');
  const { remote, host, transport, credentials } = parseGitAddress(address);
  if (transport === 'http' && parent.transport !== 'http') refuse('its address is http, and that of its repository is not');
  const isSame = host === parent.host && transport === parent.transport;
  return { remote, host, transport, credentials: credentials ?? (isSame ? parent.credentials : undefined) };
}

/** As git-submodule(1) resolves `../other.git`: components of the parent's path, never its host. */
function relativeTo(remote: string, url: string, refuse: (reason: string) => never): string {
  const [, base = '', place = ''] = /^([a-z]+:\/\/[^/]+\/|[^/:]+:\/?)(.*)$/is.exec(remote) ?? [];
  const parts = place.replace(/\/+$/, '').split('/');
  for (const part of url.split('/')) {
    if (part === '.' || part === '') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) refuse('its address leads out of the host');
  }
  return `${base}${parts.join('/')}`;
}

function submoduleError(name: string, parent: GitRemote, reason: string): TsbuildError {
  return new TsbuildError(
    'FETCH_FAILED',
    `Cannot fetch the submodule ${JSON.stringify(name.slice(0, 200))} of ${shownGitAddress(parent)}: ${reason}`,
  );
}
