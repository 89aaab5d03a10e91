/** The users and groups that this process has: all of the machine's, or those of its user namespace. user_namespaces(7) */
import { readFileSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';

/** One line of a uid_map or gid_map: `count` ids from `inside` on are those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

const ALL_IDS = 0xffff_ffff;

/** The ids that this process can see and give to files, as its own namespace numbers them. */
export function ownIds(kind: 'uid' | 'gid'): IdRange[] {
  return readFileSync(`/proc/self/${kind}_map`, 'latin1')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, count };
    });
}

/** Whether every id of the machine is there under its own number: the machine's own namespace, or as good as that. */
function hasAllIds(): boolean {
  const [first] = ownIds('uid');
  return first !== undefined && first.inside === 0 && first.outside === 0 && first.count === ALL_IDS;
}

/** Whether this process has all ids of the machine, those of a user namespace, or no id but 0. Asked of the kernel once. */
export function idScope(): 'machine' | 'many' | 'one' {
  scope ??= hasAllIds() ? 'machine' : (['uid', 'gid'] as const).some((kind) => countOf(kind) <= 1) ? 'one' : 'many';
  return scope;
}

let scope: 'machine' | 'many' | 'one' | undefined;

function countOf(kind: 'uid' | 'gid'): number {
  return ownIds(kind).reduce((sum, { count }) => sum + count, 0);
}

/** Why a file or a process cannot be given to these ids; undefined where that is not the reason. */
export function missingIds(what: string, ids: { readonly uid: number; readonly gid: number }): TsbuildError | undefined {
  const lacks = (['uid', 'gid'] as const).filter((kind) => !ownIds(kind).some((range) => holds(range, ids[kind])));
  if (lacks.length === 0) return undefined;
  const count = Math.max(ids.uid, ids.gid, 65_536);
  const range = (kind: 'uid' | 'gid') =>
    ownIds(kind).map(({ inside, count: size }) => (size === 1 ? `${inside}` : `${inside} to ${inside + size - 1}`));
  const has = lacks.map((kind) => `${kind === 'uid' ? 'users' : 'groups'} ${range(kind).join(', ')}`).join(' and ');
  return new TsbuildError('PRIVILEGE', `Cannot give ${what} to ${ids.uid}:${ids.gid}: this user namespace has the ${has} only`, {
    hint: `Give yourself at least ${count} subordinate ids: sudo usermod --add-subuids 100000-${99_999 + count} --add-subgids 100000-${99_999 + count} NAME.`,
  });
}

function holds({ inside, count }: IdRange, id: number): boolean {
  return id >= inside && id < inside + count;
}
