/** Surroundings that lack what every machine has: what can be done there is done, and the rest says what is missing and what to do. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BIN, type CommandResult, makeWorld, runCommand, type World } from './_world.ts';

let world: World;
let context: string;
let digest: string;

before(async () => {
  world = await makeWorld();
  context = world.context({ Dockerfile: 'FROM busybox\nARG N\nCOPY a /a\nRUN date +%s%N > /b\n', a: 'a' });
  digest = await world.succeed(['-t', 'cached:1', '--network=none', context]);
});
after(async () => await world[Symbol.asyncDispose]());

/** tsbuild where `changes`, shell commands, have changed what is mounted; `$STATE` is the state directory. */
async function inside(changes: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  const command = ['sh', '-euc', `${changes}; exec "$@"`, 'sh', process.execPath, BIN, ...args];
  return await runCommand('unshare', ['--mount', '--propagation', 'private', ...command], {
    env: { ...process.env, TSBUILD_ROOT: world.root, STATE: world.root, NODE_EXTRA_CA_CERTS: undefined, ...env },
  });
}

let count = 0;

/** What no build has done before. */
function newStep(): string[] {
  return ['--network=none', '--build-arg', `N=${count++}`, '-t', 'new:1', context];
}

function assertUsable({ code, stdout, stderr }: CommandResult): string {
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** One error with a hint: no stack, and no bug of ours. */
function assertTold({ code, stderr }: CommandResult, message: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr, message);
  assert.match(stderr, /\n {2}hint: \S/);
  assert.doesNotMatch(stderr, /bug in tsbuild/);
}

describe('X8 a state directory on a read-only disk', () => {
  const READ_ONLY = 'mount --bind "$STATE" "$STATE"; mount -o remount,bind,ro "$STATE"';

  test('X8 gives a build that is in the cache, to the store and into files', async () => {
    assert.equal(assertUsable(await inside(READ_ONLY, ['-t', 'cached:1', '--network=none', context])), digest);
    assert.equal(assertUsable(await inside(READ_ONLY, ['--network=none', '-o', 'type=cacheonly', context])), '');
    const archive = path.join(world.directory, 'cached.tar');
    assert.equal(assertUsable(await inside(READ_ONLY, ['--network=none', '-o', `type=oci,dest=${archive}`, context])), digest);
    assert.equal(assertUsable(await inside(READ_ONLY, ['save', 'cached:1', '-o', `${archive}.2`])), digest);
  });

  test('X8 tells what is in it', async () => {
    assert.match(assertUsable(await inside(READ_ONLY, ['images'])), /^cached:1 /m);
    assert.match(assertUsable(await inside(READ_ONLY, ['inspect', 'cached:1'])), new RegExp(digest));
    assert.match(assertUsable(await inside(READ_ONLY, ['du'])), /^Total: /m);
    assert.match(assertUsable(await inside(READ_ONLY, ['builds', 'ls'])), /cached:1/);
    assert.match(assertUsable(await inside(READ_ONLY, ['ps'])), /^CONTAINER ID/);
    for (const call of ['check', 'outline', 'targets']) assertUsable(await inside(READ_ONLY, [`--call=${call}`, context]));
  });

  test('X8 refuses what would change it, and is as it was', async () => {
    for (const args of [
      newStep(),
      ['-t', 'other:1', '--network=none', context],
      ['tag', 'cached:1', 'b:1'],
      ['rmi', 'cached:1'],
      ['run', 'cached:1', 'true'],
    ])
      assertTold(await inside(READ_ONLY, args), /^ERR_TSBUILD_SYSCALL_FAILED: .*the file system is read-only \(EROFS\)$/m);
    assert.equal(await world.succeed(['-t', 'cached:1', '--network=none', context]), digest);
  });

  test('X8 is no hindrance with what a killed process left in it', async () => {
    const left = path.join(world.root, 'ingest/0123456789abcdef');
    const trash = path.join(world.root, 'trash/0123456789abcdef');
    const snapshot = path.join(world.root, 'snapshots/d/01234567');
    for (const directory of [left, trash, snapshot]) {
      mkdirSync(directory);
      writeFileSync(path.join(directory, '0'), 'left');
    }
    assert.equal(assertUsable(await inside(READ_ONLY, ['-t', 'cached:1', '--network=none', context])), digest);
    assert.equal(await world.succeed(['-t', 'cached:1', '--network=none', context]), digest);
    for (const directory of [left, trash, snapshot]) assert.throws(() => rmdirSync(directory), { code: 'ENOENT' });
  });
});

describe('X8 a build', () => {
  const usable: readonly (readonly [name: string, changes: string, env?: NodeJS.ProcessEnv])[] = [
    ['all disks but that of the state directory read-only', 'mount --bind "$STATE" "$STATE"; mount -o remount,bind,ro /'],
    ['a TMPDIR that is not there', ':', { TMPDIR: '/nonexistent' }],
    ['HOME not set', 'unset HOME'],
    ['an empty HOME', 'HOME='],
    [
      'no variable but the state directory',
      'for name in $(env | sed -n "s/^\\([A-Z_a-z]*\\)=.*/\\1/p" | grep -v -e TSBUILD_ROOT -e PWD); do unset "$name" || :; done',
    ],
    ['no /sys', 'umount -l /sys'],
    ['nothing in /dev', 'mount -t tmpfs tmpfs /dev'],
    ['nothing in /etc', 'mount -t tmpfs tmpfs /etc'],
  ];
  for (const [name, changes, env] of usable) {
    test(`X8 is made with ${name}`, async () => {
      assert.match(assertUsable(await inside(changes, newStep(), env)), /^sha256:/);
    });
  }

  test('X8 is made without /tmp', async () => {
    const at = `/dev/shm/tsbuild-${process.pid}`;
    cpSync(context, at, { recursive: true });
    try {
      const root = path.join(at, 'state');
      const layout = path.join(at, 'layout');
      await world.succeed(['-o', `type=oci,tar=false,dest=${layout}`, world.context({ Dockerfile: 'FROM busybox\n' })]);
      const args = ['--network=none', '--build-context', `busybox=oci-layout://${layout}`, '-t', 'there:1', at];
      assert.match(assertUsable(await inside('mount -t tmpfs -o ro tmpfs /tmp', args, { TSBUILD_ROOT: root })), /^sha256:/);
    } finally {
      await runCommand('rm', ['-rf', at]);
    }
  });

  test('X8 that needs no network is made without one, and a pull says who does not answer', async () => {
    const offline = async (args: readonly string[]) =>
      await runCommand('unshare', ['--net', process.execPath, BIN, ...args], { env: { ...process.env, TSBUILD_ROOT: world.root } });
    assert.match(assertUsable(await offline(['--build-arg', 'N=offline', '-t', 'new:1', context])), /^sha256:/);
    assertTold(await offline(['pull', '--retry', '0', '127.0.0.1:1/gone']), /^ERR_TSBUILD_REGISTRY_UNREACHABLE: .*127\.0\.0\.1:1/m);
  });

  test('X8 says that /proc is missing, and how to get it', async () => {
    for (const args of [newStep(), ['images'], ['doctor']])
      assertTold(
        await inside('umount -l /proc', args),
        /^ERR_TSBUILD_UNSUPPORTED_KERNEL: Cannot read \/proc\/\S+: no proc file system is mounted at \/proc$/m,
      );
    assert.match(assertUsable(await inside('umount -l /proc', ['--help'])), /^Usage: tsbuild/);
  });

  test('X8 says that its working directory is gone', async () => {
    const gone = 'mkdir "$STATE/../gone"; cd "$STATE/../gone"; rmdir "$STATE/../gone"';
    assertTold(await inside(gone, newStep()), /^ERR_TSBUILD_SYSCALL_FAILED: Cannot tell the working directory: it has been removed/m);
  });

  test('X8 says which state directory cannot be made', async () => {
    const args = ['--root', path.join(world.directory, 'never/made'), 'images'];
    assertTold(
      await inside('mount -o remount,bind,ro /', args),
      /^ERR_TSBUILD_STORE_INVALID: Cannot use the state directory \S+\/never\/made: it cannot be made: /m,
    );
    const long = ['--root', path.join(world.directory, 'd'.repeat(300)), 'images'];
    assertTold(await inside(':', long), /^ERR_TSBUILD_STORE_INVALID: .*it cannot be made: its path is too long \(ENAMETOOLONG\)/m);
  });
});
