/** The files of a git repository as a tree: checked out once for each commit, into a snapshot that later builds find by its name. */
import { createHash } from 'node:crypto';
import { closeSync, constants } from 'node:fs';
import path from 'node:path';
import { gitMaterial, type Material } from '../../attestations/materials.ts';
import { checkOut } from '../../context/git-checkout.ts';
import { type GitAccess, type ResolvedCommit, resolveCommit } from '../../context/git-repository.ts';
import { type GitAddress, shownGitAddress } from '../../context/git-url.ts';
import { TsbuildError } from '../../errors.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { isSound } from '../../snapshots/unsound-snapshot.ts';
import { setTimesAt } from '../../sys/metadata.ts';
import { openAt } from '../../sys/open.ts';
import { listDirectory, statAt } from '../../sys/stat.ts';
import { type ByteString, display, fromText, join } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { BuildResources } from './resources.ts';
import { gitAuthorization, type SecretReader } from './source-secrets.ts';

export interface GitFiles {
  /** All that decides what the files are; goes into keys. */
  readonly identity: readonly string[];
  /** The commit and where it came from. */
  readonly material: Material;
  /** Fetches and checks out where no build has done it before. */
  open(): Promise<FileTree & Disposable>;
}

export interface GitResources extends Pick<BuildResources, 'store' | 'snapshots' | 'signal' | 'emit'> {
  readonly secrets?: SecretReader | undefined;
  /** Agents by id: `default` is the one for ssh addresses. */
  readonly ssh?: { socketOf(id: string): Promise<string | undefined> } | undefined;
}

/** Raise it when a checkout comes out differently. */
const VERSION = 'git-1';

/** Asks the remote what `address` is now. Throws FETCH_FAILED, DIGEST_MISMATCH, and CONTEXT_PATH_NOT_FOUND when opened. */
export async function gitFiles(resources: GitResources, address: GitAddress): Promise<GitFiles> {
  const { host, transport, remote, submodules, mtime, subdir } = address;
  const access: GitAccess = {
    root: resources.store.root,
    signal: resources.signal,
    sshAgent: async () => await resources.ssh?.socketOf('default'),
    authorization: (asked) => {
      if (asked.transport !== 'http' && asked.transport !== 'https') return undefined;
      const whose = asked.host === host && asked.transport === transport ? 'own' : 'other';
      return basicOf(asked.credentials) ?? gitAuthorization(resources.secrets, asked.host, whose);
    },
  };
  const commit = await resolveCommit(access, address);
  const keepGitDir = address.keepGitDir === true;
  const shape = [VERSION, remote, commit.commit, keepGitDir ? `.git ${commit.ref ?? ''}` : '', submodules ? 'submodules' : '', mtime];
  return {
    identity: [...shape, subdir],
    material: gitMaterial(remote, commit.ref, commit.commit),
    async open() {
      const name = createHash('sha256').update(JSON.stringify(shape)).digest('hex');
      if (!(await isSound(resources, name))) await makeCheckout(resources, name, { access, address, commit });
      return subtree(resources.snapshots.tree(name), address);
    },
  };
}

interface Making {
  readonly access: GitAccess;
  readonly address: GitAddress;
  readonly commit: ResolvedCommit;
}

async function makeCheckout({ snapshots }: GitResources, name: string, { access, address, commit }: Making): Promise<void> {
  needPrivilege();
  const active = snapshots.prepare(undefined);
  try {
    const { cwd, upper } = snapshots.overlay(active);
    const checkout = { directory: path.join(cwd, upper), submodules: address.submodules, keepGitDir: address.keepGitDir === true };
    const seconds = await checkOut(access, address, commit, checkout);
    if (address.mtime === 'commit') setTimes(active, BigInt(seconds) * 1_000_000_000n);
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
  snapshots.commit(active, name, {
    purpose: { kind: 'git-checkout', text: `${shownGitAddress(address)} at ${commit.commit}`.slice(0, 300) },
  });
}

function setTimes({ upperFd }: ActiveSnapshot, mtimeNs: bigint): void {
  const within = (dir: number): void => {
    for (const name of listDirectory(dir)) {
      if (statAt(dir, name)?.type === 'directory') {
        const fd = openAt(dir, name, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
        try {
          within(fd);
        } finally {
          closeSync(fd);
        }
      }
      setTimesAt(dir, name, mtimeNs);
    }
  };
  within(upperFd);
  setTimesAt(upperFd, '' as ByteString, mtimeNs);
}

/** The tree from a directory of it on; each component is a directory itself, no link to one (CVE-2026-33748). */
function subtree(tree: FileTree & Disposable, address: GitAddress): FileTree & Disposable {
  let root = '' as ByteString;
  for (const part of address.subdir === '' ? [] : address.subdir.split('/')) {
    root = join(root, fromText(part));
    if (tree.stat(root)?.type === 'directory') continue;
    tree[Symbol.dispose]();
    throw new TsbuildError('CONTEXT_PATH_NOT_FOUND', `Cannot use ${display(root)} of ${shownGitAddress(address)}: it is no directory`);
  }
  const below = (inside: ByteString): ByteString => (inside === '' ? root : join(root, inside));
  return {
    stat: (at) => tree.stat(below(at)),
    list: (at) => tree.list(below(at)),
    xattrs: (at) => tree.xattrs(below(at)),
    open: (at) => tree.open(below(at)),
    [Symbol.dispose]: () => tree[Symbol.dispose](),
  };
}

function basicOf(credentials: string | undefined): string | undefined {
  return credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
}
