/**
 * How an ordinary user's process becomes root of a user namespace of its own, and stays the same process: a child holds the
 * namespace while its maps are written, then a static program (sys/native/enter.c) takes our place, enters, and starts node again.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { becomeProgram } from '../../sys/become.ts';
import { type IdRange, ownIds } from '../../sys/ids.ts';
import { MACHINE_CODE } from '../../sys/native/machine-code.ts';
import { makeSealedExecutable } from '../../sys/pipe.ts';
import { engineAvailable } from '../../sys/syscall-program-engine.ts';
import type { Architecture } from '../../sys/syscall-program-numbers.ts';
import { makeUserNamespace } from '../../sys/user-namespace.ts';
import { subordinateMap } from './subordinate-ids.ts';

const ID_COUNT_MAX = 0xffff_fffe;
/** Where distributions put the setuid programs of shadow; never looked for along PATH. */
const PROGRAM_DIRECTORIES = ['/usr/bin', '/bin', '/usr/local/bin', '/run/wrappers/bin'];

export interface EnteringUser {
  readonly name: string | undefined;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Never returns: this process starts again, with `argv` (node's own first) and `env`, as user 0 of a new namespace that has the
 * user's subordinate ids, or the user's own id alone where there are none. Throws PRIVILEGE or UNSUPPORTED_KERNEL where the machine gives none.
 */
export function enterUserNamespace(user: EnteringUser, argv: readonly string[], env: Environment): never {
  if (!(process.arch in MACHINE_CODE) || !engineAvailable()) throw notHere();
  enter(userNamespace(user), argv, env);
}

/**
 * The same for user 0 without the privileges of root, as in a container: every id of this namespace keeps its number. Throws where
 * that cannot be had.
 */
export function enterAsRoot(argv: readonly string[], env: Environment): never {
  if (!(process.arch in MACHINE_CODE) || !engineAvailable()) throw notHere();
  const namespace = makeUserNamespace((pid) => {
    for (const kind of ['uid', 'gid'] as const) writeFileSync(`/proc/${pid}/${kind}_map`, ownIds(kind).map(sameNumbers).join(''));
  });
  enter(namespace, argv, env);
}

/** All ids but the last: with that, the namespace would look like the machine's own (sys/ids.ts). */
function sameNumbers({ inside, count }: IdRange): string {
  return `${inside} ${inside} ${Math.min(count, ID_COUNT_MAX)}\n`;
}

type Environment = Readonly<Record<string, string | undefined>>;

function enter(namespace: number, argv: readonly string[], env: Environment): never {
  const fd = makeSealedExecutable('tsbuild-enter', Buffer.from(MACHINE_CODE[process.arch as Architecture].enter, 'base64'));
  becomeProgram({ fd, argv: ['enter', String(namespace), ...argv], env, keep: [namespace] });
}

/** A namespace with as many ids as the user may have; its descriptor. */
function userNamespace(user: EnteringUser): number {
  try {
    const maps = subordinateMaps(user);
    if (maps !== undefined) {
      try {
        return makeUserNamespace((pid) => {
          runMapper('newuidmap', pid, maps.uids);
          runMapper('newgidmap', pid, maps.gids);
        });
      } catch (error) {
        if (!(error instanceof MapRefused)) throw error;
      }
    }
    return makeUserNamespace((pid) => mapOneId(pid, user));
  } catch (error) {
    const cause = error instanceof TsbuildError && error.cause instanceof SyscallError ? error.cause : error;
    throw cause instanceof SyscallError ? refused(cause) : error;
  }
}

/** Undefined where there are none, or nothing that writes them. */
export function subordinateMaps({ name, uid, gid }: EnteringUser): { uids: IdRange[]; gids: IdRange[] } | undefined {
  if (mapper('newuidmap') === undefined || mapper('newgidmap') === undefined) return undefined;
  // Lines of subgid name users, too; the number that maps to 0 is the group's.
  const uids = subordinateMap(readOrEmpty('/etc/subuid'), { name, id: uid });
  const gids = withFirst(subordinateMap(readOrEmpty('/etc/subgid'), { name, id: uid }), gid);
  return uids.length > 1 && gids.length > 1 ? { uids, gids } : undefined;
}

function withFirst([, ...rest]: readonly IdRange[], outside: number): IdRange[] {
  return [{ inside: 0, outside, count: 1 }, ...rest.filter((range) => outside < range.outside || outside >= range.outside + range.count)];
}

/** newuidmap or newgidmap said no. */
class MapRefused extends Error {}

/** By its absolute path, with nothing of our environment: the program is setuid. */
function runMapper(name: 'newuidmap' | 'newgidmap', pid: number, map: readonly IdRange[]): void {
  const program = mapper(name);
  if (program === undefined) throw new MapRefused(`${name} is not installed`);
  const args = map.flatMap(({ inside, outside, count }) => [inside, outside, count].map(String));
  const { status, error } = spawnSync(program, [String(pid), ...args], { env: {}, cwd: '/', stdio: 'ignore' });
  if (error !== undefined || status !== 0) throw new MapRefused(`${name} refused`, { cause: error });
}

function mapper(name: string): string | undefined {
  return PROGRAM_DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => existsSync(path));
}

/** All that a process without privileges may write itself: user_namespaces(7), "Defining user and group ID mappings". */
function mapOneId(pid: number, { uid, gid }: EnteringUser): void {
  writeFileSync(`/proc/${pid}/setgroups`, 'deny');
  writeFileSync(`/proc/${pid}/uid_map`, `0 ${uid} 1`);
  writeFileSync(`/proc/${pid}/gid_map`, `0 ${gid} 1`);
}

function notHere(): TsbuildError {
  return new TsbuildError('PRIVILEGE', `Cannot build as an ordinary user: not supported on this machine (${process.arch})`, {
    hint: 'Run tsbuild as root, for example with sudo.',
  });
}

/** What the machine's owner has to change; each switch is named where it is set. */
function refused(cause: SyscallError): TsbuildError {
  const message = `Cannot build as an ordinary user: this machine gives no usable user namespace (${cause.syscall}: ${cause.errno})`;
  const hint = `${remedy()} Or run tsbuild as root, which in a container without any privileges can still build --isolation=chroot, with less isolation.`;
  return new TsbuildError('PRIVILEGE', message, { hint, cause });
}

function remedy(): string {
  if (setting('user/max_user_namespaces') === '0') return 'Raise the limit: sysctl user.max_user_namespaces=15000.';
  if (setting('kernel/unprivileged_userns_clone') === '0') return 'Allow them: sysctl kernel.unprivileged_userns_clone=1.';
  if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return 'Allow them: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with userns for tsbuild.';
  return 'A container has to be started with the privilege to make them.';
}

function setting(name: string): string {
  return readOrEmpty(`/proc/sys/${name}`).trim();
}

function readOrEmpty(path: string): string {
  return existsSync(path) ? readFileSync(path, 'latin1') : '';
}
