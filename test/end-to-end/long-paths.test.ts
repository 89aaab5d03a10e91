/** X31: state directories far down, contexts and layers with paths that are longer than the kernel takes, and sockets whose addresses are short. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { emptyWorld, makeBusyboxRootfs, type World } from './_world.ts';

const LEVELS = 1000;
/** With names of 255 bytes: more than PATH_MAX, 4096. */
const LONG_LEVELS = 20;

let world: World;
/** A path of 3,000 bytes. */
let deep: string;

before(async () => {
  world = emptyWorld();
  const parts = Array.from({ length: 14 }, () => 'd'.repeat(200));
  deep = path.join(world.directory, ...parts);
  deep = path.join(deep, 'e'.repeat(3000 - deep.length - 1));
  mkdirSync(deep, { recursive: true });
  assert.equal(deep.length, 3000);
  const rootfs = path.join(world.directory, 'busybox.tar');
  makeBusyboxRootfs(rootfs);
  for (const root of [deep, world.root]) await world.succeed(['import', rootfs, 'busybox:latest'], { root });
});
after(async () => {
  // Node removes no path that is longer than the kernel takes.
  execFileSync('rm', ['-rf', world.directory]);
  await world[Symbol.asyncDispose]();
});

describe('X31 a state directory at a depth of 3,000 bytes', () => {
  const Dockerfile = [
    'FROM busybox AS first',
    'RUN mkdir /o && echo 1 > /o/f',
    'FROM busybox',
    'COPY --from=first /o /o',
    'COPY --link f /l/f',
    'ADD a.tar /a',
    'RUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=bind,from=first,source=/o,target=/b cat /run/secrets/s > /c/s && cat /b/f /l/f /a/f > /all',
  ].join('\n');

  function context(): string {
    const made = world.context({ Dockerfile, f: 'f', secret: 'hush' });
    execFileSync('tar', ['-cf', path.join(made, 'a.tar'), '-C', made, 'f']);
    return made;
  }

  for (const flags of [[], ['--snapshotter=copy'], ['--isolation=chroot']]) {
    test(`X31 builds with a network, caches, secrets and mounts ${flags.join()}`, async () => {
      const at = context();
      const args = [...flags, '--secret', `id=s,src=${path.join(at, 'secret')}`, '-t', 'deep:1', at];
      const digest = await world.succeed(args, { root: deep });
      assert.equal(await world.succeed(args, { root: deep }), digest);
      assert.equal(await world.succeed(['run', '--network=none', 'deep:1', 'cat', '/all'], { root: deep }), '1\nff');
    });
  }

  test('X31 has more layers than a mount takes options in a page', async () => {
    const steps = Array.from({ length: 25 }, (_, index) => `RUN echo ${index} > /f${index}`);
    const many = world.context({ Dockerfile: ['FROM busybox', ...steps, 'RUN ls /f* | wc -l > /count'].join('\n') });
    await world.succeed(['--network=none', '-t', 'many:1', many], { root: deep });
    assert.equal(await world.succeed(['run', '--network=none', 'many:1', 'cat', '/count'], { root: deep }), '25');
  });

  test('X31 has containers in the background, which are asked by sockets, and goes empty', async () => {
    const root = deep;
    await world.succeed(['run', '--detach', '--name', 'far', 'busybox', 'sh', '-c', 'echo hello; sleep 60'], { root });
    assert.match(await world.succeed(['ps'], { root }), / far$/m);
    for (let tries = 0; tries < 100 && (await world.succeed(['logs', 'far'], { root })) === ''; tries++) await sleep(50);
    assert.equal(await world.succeed(['logs', 'far'], { root }), 'hello');
    await world.succeed(['stop', '--time=0', 'far'], { root });
    await world.succeed(['rm', 'far'], { root });
    await world.succeed(['du'], { root });
    await world.succeed(['prune', '--force', '--all'], { root });
  });

  test('X31 gives steps an agent, though its socket is far down, too', {
    skip: existsSync('/usr/bin/ssh-agent') ? false : 'OpenSSH is not there',
  }, async () => {
    const short = path.join(world.directory, 'a.sock');
    const agent: ChildProcess = spawn('ssh-agent', ['-D', '-a', short], { stdio: 'ignore' });
    try {
      while (!existsSync(short)) await sleep(10);
      const at = world.context({ Dockerfile: 'FROM busybox\nCOPY root /\nRUN --mount=type=ssh ssh-add -l 2>&1 | grep "no identities"\n' });
      const libraries = [...execFileSync('ldd', ['/usr/bin/ssh-add'], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map(
        ([, file = '']) => file,
      );
      for (const file of ['/usr/bin/ssh-add', ...libraries]) {
        mkdirSync(path.join(at, 'root', path.dirname(file)), { recursive: true });
        cpSync(file, path.join(at, 'root', file), { dereference: true });
      }
      await world.succeed(['--network=none', '--ssh', `default=${short}`, at], { root: deep });
    } finally {
      agent.kill();
    }
  });
});

/** Made by a shell, which changes directories one by one. */
function makeLevels(directory: string, name: string, count: number): void {
  mkdirSync(directory, { recursive: true });
  const script = 'cd "$0"; i=0; while [ $i -lt $2 ]; do mkdir "$1"; cd -P "$1"; i=$((i+1)); done; printf end > end';
  execFileSync('/bin/busybox', ['sh', '-euc', script, directory, name, String(count)]);
}

/** How many levels of `name` there are below `directory`, and what is in the file at their end. */
const COUNT = 'cd "$0"; i=0; while [ -d "$1" ]; do cd -P "$1" || break; i=$((i+1)); done; echo $i $(cat end)';

test(`X31 paths of 4,096 bytes and more, ${LEVELS} levels and names of 255 bytes go through a context, layers, a stage and an export`, async () => {
  const context = world.context({
    Dockerfile: 'FROM scratch AS files\nCOPY tree /tree\nFROM busybox\nCOPY --from=files / /\nRUN printf changed > /tree/new\n',
  });
  makeLevels(path.join(context, 'tree/deep'), 'd', LEVELS);
  const name = 'n'.repeat(255);
  makeLevels(path.join(context, 'tree/long'), name, LONG_LEVELS);
  const out = path.join(world.directory, 'out');
  await world.succeed(['--network=none', '-t', 'long:1', context]);
  await world.succeed(['--network=none', '-o', `type=local,dest=${out}`, context]);
  const counted = (directory: string, level: string): string =>
    execFileSync('/bin/busybox', ['sh', '-euc', COUNT, directory, level], { encoding: 'utf8' }).trim();
  assert.equal(counted(path.join(out, 'tree/deep'), 'd'), `${LEVELS} end`);
  assert.equal(counted(path.join(out, 'tree/long'), name), `${LONG_LEVELS} end`);
  // In another store its layers are unpacked.
  const archive = path.join(world.directory, 'long');
  await world.succeed(['-o', `type=oci,tar=false,dest=${archive}`, '--network=none', context]);
  const on = world.context({ Dockerfile: `FROM long\nRUN sh -euc '${COUNT}' /tree/long ${name} > /count && rm -r /tree/deep\n` });
  await world.succeed(['--network=none', '--build-context', `long=oci-layout://${archive}`, '-t', 'on:1', on], { root: deep });
  assert.equal(await world.succeed(['run', '--network=none', 'on:1', 'cat', '/count'], { root: deep }), `${LONG_LEVELS} end`);
});

test('X31 a state directory that is too far down for the kernel says so', async () => {
  const root = path.join(deep, ...Array.from({ length: 6 }, () => 'd'.repeat(200)));
  const { code, stderr } = await world.tsbuild(['images'], { root });
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^ERR_TSBUILD_STORE_INVALID: .*its path is too long \(ENAMETOOLONG\)$/m);
});
