/** USER and --chown names looked up in an image's own files, which are foreign: links stay inside, sizes are bounded. */
import { closeSync, readSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';
import { fromText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  /** Always holds gid. */
  readonly groups: readonly number[];
  readonly home: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** As much of /etc/passwd or /etc/group as anybody reads. */
const FILE_MAX = 10 << 20;
/** Ids that containerd accepts; larger ones wrapped to 0 in other programs (CVE-2024-40635). */
const ID_MAX = 2 ** 31 - 1;

/**
 * Who a step runs as. `user` is the image's User: '' (root), a name or id, or `user:group`.
 * Throws USER_NOT_FOUND for a name that is not there and for ids that no one may have.
 */
export function lookUpUser(tree: FileTree, user: string): ProcessUser {
  const [name, group = ''] = splitOnce(user);
  const who = name === '' ? '0' : name;
  const account = findAccount(tree, who);
  const uid = account?.uid ?? numericId(who) ?? notFound('user', who, '/etc/passwd');
  const home = account?.home === undefined || account.home === '' ? '/' : account.home;
  if (group !== '') {
    const gid = groupId(tree, group);
    return { uid, gid, groups: [gid], home };
  }
  const gid = account?.gid ?? 0;
  const others = account === undefined ? [] : readGroups(tree).filter(({ members }) => members.includes(account.name));
  return { uid, gid, groups: [...new Set([gid, ...others.map((other) => other.gid)])], home };
}

/** Rows C14: a number alone is both ids, a name brings its own group, an empty group is 0; a name nobody has is an error here. */
export function lookUpOwner(tree: FileTree, chown: string): { uid: number; gid: number } {
  const [who = '', group] = splitOnce(chown);
  const isRoot = who === '' || who === 'root';
  const account = isRoot ? undefined : findAccount(tree, who);
  const uid = isRoot ? 0 : (numericId(who) ?? account?.uid ?? notFound('user', who, '/etc/passwd'));
  if (group !== undefined) return { uid, gid: group === '' ? 0 : groupId(tree, group) };
  return { uid, gid: numericId(who) ?? account?.gid ?? 0 };
}

function splitOnce(text: string): [string, string | undefined] {
  const colon = text.indexOf(':');
  return colon === -1 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** A string of digits is a number and never a name. */
function numericId(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const id = Number(text);
  if (id > ID_MAX)
    throw new TsbuildError('USER_NOT_FOUND', `Cannot use ${text.slice(0, 40)} as a user or group id: the largest is ${ID_MAX}`);
  return id;
}

function findAccount(tree: FileTree, who: string): Account | undefined {
  const id = numericId(who);
  return readAccounts(tree).find((account) => (id === undefined ? account.name === who : account.uid === id));
}

function groupId(tree: FileTree, group: string): number {
  if (group === 'root') return 0;
  return numericId(group) ?? readGroups(tree).find(({ name }) => name === group)?.gid ?? notFound('group', group, '/etc/group');
}

function notFound(kind: string, name: string, file: string): never {
  throw new TsbuildError('USER_NOT_FOUND', `Cannot find the ${kind} ${JSON.stringify(name)}: not in ${file} of the image`, {
    hint: `Create the ${kind} in an earlier RUN, or use a numeric id.`,
  });
}

function readAccounts(tree: FileTree): Account[] {
  return readLines(tree, 'etc/passwd').flatMap(([name, , uid, gid, , home]) => {
    if (name === undefined || !isId(uid) || !isId(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }];
  });
}

function readGroups(tree: FileTree): Group[] {
  return readLines(tree, 'etc/group').flatMap(([name, , gid, members]) => {
    if (name === undefined || !isId(gid)) return [];
    return [{ name, gid: Number(gid), members: (members ?? '').split(',') }];
  });
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^[0-9]+$/.test(text) && Number(text) <= ID_MAX;
}

/** Lines of a colon-separated file; none where it is absent or no regular file. */
function readLines(tree: FileTree, file: string): string[][] {
  const { path, node } = resolvePath(tree, fromText(file), 'follow');
  if (node?.type !== 'file') return [];
  if (node.size > FILE_MAX) throw new TsbuildError('IMAGE_INVALID', `Cannot read /${file} of the image: larger than ${FILE_MAX} bytes`);
  const fd = tree.open(path);
  try {
    const buffer = Buffer.alloc(node.size);
    const read = readSync(fd, buffer);
    return buffer
      .toString('utf8', 0, read)
      .split('\n')
      .map((line) => line.split(':'));
  } finally {
    closeSync(fd);
  }
}
