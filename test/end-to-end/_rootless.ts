/** A world whose tsbuild runs as an ordinary user of this machine, made for it and removed with it. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync } from 'node:fs';
import path from 'node:path';
import { BIN, type CommandResult, emptyWorld, makeBusyboxRootfs, runCommand, type World } from './_world.ts';

/** `ranges` are lines of subuid(5) and subgid(5) without the name; none at all is a user with one id. */
export interface UserOptions {
  readonly ranges?: readonly string[];
}

export interface UserWorld extends World {
  readonly user: { readonly name: string; readonly uid: number; readonly gid: number };
  /** Runs a program as the user. */
  asUser(command: string, args: readonly string[], options?: { env?: NodeJS.ProcessEnv; cwd?: string }): Promise<CommandResult>;
}

export const ONE_RANGE: readonly string[] = ['300000:65536'];

/** As `makeWorld`: its store has `busybox:latest`. */
export async function makeUserWorld(options: UserOptions = {}): Promise<UserWorld> {
  const world = emptyUserWorld(options);
  const rootfs = path.join(world.directory, 'busybox.tar');
  makeBusyboxRootfs(rootfs);
  await world.succeed(['import', rootfs, 'busybox:latest']);
  return world;
}

export function emptyUserWorld({ ranges = ONE_RANGE }: UserOptions = {}): UserWorld {
  const base = emptyWorld();
  const user = addUser(ranges);
  const home = path.join(base.directory, 'home');
  execFileSync('install', ['-d', '-m', '0700', '-o', String(user.uid), '-g', String(user.gid), home]);
  chmodSync(base.directory, 0o755);
  const root = path.join(home, 'state');
  const asUser: UserWorld['asUser'] = async (command, args, options = {}) =>
    await runCommand('setpriv', [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', command, ...args], {
      ...{ cwd: base.directory, ...options },
      env: { PATH: process.env['PATH'], HOME: home, USER: user.name, TSBUILD_ROOT: root, ...options.env },
    });
  const tsbuild: World['tsbuild'] = async (args, { env, root: other = root, ...options } = {}) =>
    await asUser(process.execPath, [BIN, ...args], { ...options, env: { TSBUILD_ROOT: other, ...env } });
  return {
    ...{ directory: base.directory, root, context: base.context, user, asUser, tsbuild },
    async succeed(args, options) {
      const result = await tsbuild(args, options);
      if (result.code !== 0)
        throw new Error(`tsbuild ${args.join(' ')} as ${user.name}: ${result.code}\n${result.stderr}\n${result.stdout}`);
      return result.stdout.trimEnd();
    },
    async [Symbol.asyncDispose]() {
      execFileSync('userdel', [user.name]);
      await base[Symbol.asyncDispose]();
    },
  };
}

/** Gives a file or directory of the world to its user. */
export function give(world: UserWorld, file: string): void {
  chownSync(file, world.user.uid, world.user.gid);
}

function addUser(ranges: readonly string[]): UserWorld['user'] {
  const name = `tsb${randomBytes(5).toString('hex')}`;
  // -K: no ranges of the system's own choice.
  execFileSync('useradd', ['--no-create-home', '--shell', '/bin/sh', '-K', 'SUB_UID_COUNT=0', '-K', 'SUB_GID_COUNT=0', name]);
  for (const range of ranges) {
    const [start = 0, count = 0] = range.split(':').map(Number);
    const span = `${start}-${start + count - 1}`;
    execFileSync('usermod', ['--add-subuids', span, '--add-subgids', span, name]);
  }
  const id = (kind: string) => Number(execFileSync('id', [kind, name], { encoding: 'utf8' }));
  return { name, uid: id('-u'), gid: id('-g') };
}
