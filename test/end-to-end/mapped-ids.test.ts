/** --userns=auto: root of a step is nobody on the machine, and what it makes is the same. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BUILDS, layersOfSteps } from './_builds.ts';
import { descendantsOf, eventually, processesWith, statusOf } from './_processes.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

const FIRST = 0x7000_0000;
const AUTO = ['--userns=auto'];
/** What makes device nodes takes the machine's root. */
const NEED_ROOT = 'from-device$|run-devices$';
const SAMPLE = process.env['TSBUILD_ROOTLESS_ALL'] === '1' ? '' : '(copy-[c-d]|user-|workdir-|run-[a-h])';

describe('--userns=auto', () => {
  let world: World;
  before(async () => {
    world = await makeWorld();
  });
  after(async () => await world[Symbol.asyncDispose]());

  for (const [name, instructions] of Object.entries(BUILDS)) {
    it(`builds the same layers: ${name}`, async () => {
      const plain = await layersOfSteps(world, instructions, ['--no-cache']);
      assert.ok(plain.length > 1);
      assert.deepEqual(await layersOfSteps(world, instructions, ['--no-cache', ...AUTO]), plain);
      // With copies, a step that changes one name of an inode of the base changes all of them.
      if (name.startsWith('hard')) return;
      assert.deepEqual(await layersOfSteps(world, instructions, ['--no-cache', '--snapshotter=copy', ...AUTO]), plain);
    });
  }

  it('makes of the corpus of Dockerfiles what BuildKit makes', async (t) => {
    const file = path.join(import.meta.dirname, 'dockerfiles.test.js');
    const test = ['--test', '--test-reporter=tap', `--test-name-pattern=^(?!${NEED_ROOT})${SAMPLE}`, file];
    const { code, stdout } = await runCommand(process.execPath, test, {
      // The inner run is one of its own.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, TSBUILD_USERNS: 'auto' },
    });
    const failed = stdout.match(/^ *not ok .*$/gm) ?? [];
    assert.deepEqual({ failed, code }, { failed: [], code: 0 }, stdout.slice(-10_000));
    const passed = stdout.match(/^ {4}ok .*$/gm)?.filter((line) => !line.includes('# SKIP')).length ?? 0;
    assert.ok(passed > 30, `${passed} cases`);
    t.diagnostic(`${passed} cases`);
  });

  it('gives two builds at once ids that neither the machine nor the other has', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nUSER app\nRUN sleep 5151\n' });
    const builds = [1, 2].map(() =>
      spawn(process.execPath, [BIN, '--root', world.root, '--no-cache', '--network=none', ...AUTO, context], { stdio: 'ignore' }),
    );
    try {
      const users = await Promise.all(builds.map(({ pid = 0 }) => eventually(() => usersBelow(pid, 'sleep'))));
      const [first, second] = users.map(([uid = 0]) => uid - 1000).sort();
      assert.ok(first !== undefined && second !== undefined && first >= FIRST, String(users));
      assert.equal(second - first, 1 << 20);
    } finally {
      for (const build of builds) build.kill();
      await eventually(() => (processesWith('sleep 5151').length === 0 ? true : undefined));
    }
  });

  it('keeps caches, and reads and writes them with the owners that steps without it see', async () => {
    const step = (name: string) =>
      `FROM busybox\nRUN --mount=type=cache,target=/c,id=kept touch /c/${name}; chown 5:6 /c/${name}; stat -c '%n %u %g' /c/* > /out\n`;
    await world.succeed(['--network=none', '-t', 'one', world.context({ Dockerfile: step('one') })]);
    await world.succeed(['--network=none', '-t', 'two', ...AUTO, world.context({ Dockerfile: step('two') })]);
    assert.equal(await world.succeed(['run', 'two', 'cat', '/out']), '/c/one 5 6\n/c/two 5 6');
  });

  it('leaves capabilities of files, low ports and raw sockets to its steps', async () => {
    const lines = [
      'FROM busybox',
      'ADD capable.tar /',
      'RUN (nc -l -p 80 > /got & sleep 0.3; echo hello | nc -w 1 127.0.0.1 80; wait) && grep -q hello /got',
      'USER app',
      'RUN /capable/ping -c 1 127.0.0.1',
    ];
    const context = world.context({ Dockerfile: lines.join('\n') });
    const script = [
      'mkdir -p "$0/capable" && cp /bin/busybox "$0/capable/ping" && setcap cap_net_raw+ep "$0/capable/ping"',
      'tar --xattrs --xattrs-include="*" -cf "$0/capable.tar" -C "$0" capable',
    ];
    execFileSync('sh', ['-euc', script.join(' && '), context]);
    await world.succeed([...AUTO, context]);
  });

  it('runs containers with published ports and mounts of the machine', async () => {
    const shared = path.join(world.directory, 'shared');
    execFileSync('install', ['-d', '-m', '0700', shared]);
    writeFileSync(path.join(shared, 'secret'), 'of root', { mode: 0o600 });
    const args = [
      'run',
      ...AUTO,
      '-v',
      `${shared}:/m`,
      'busybox',
      'sh',
      '-c',
      'cat /m/secret && echo new > /m/new && grep -c . /proc/self/uid_map',
    ];
    assert.equal(await world.succeed(args), 'of root1');
    assert.equal(readFileSync(path.join(shared, 'new'), 'utf8'), 'new\n');
    const stat = execFileSync('stat', ['-c', '%u:%g', path.join(shared, 'new')], { encoding: 'utf8' });
    assert.equal(stat.trim(), '0:0');
  });

  it('gives a device that the command line names, as a node of the step’s user', async () => {
    const script = 'stat -c "%t:%T %u %a" /dev/z && head -c 3 /dev/z | wc -c';
    assert.match(
      await world.succeed(['run', ...AUTO, '-u', 'app', '--device', '/dev/zero:/dev/z', 'busybox', 'sh', '-c', script]),
      /^1:5 \d+ \d+\n3$/,
    );
  });

  it('says of an id that steps do not have, of the helper, and of another runtime, that they do not go with it', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nUSER 1048576\nRUN true\n' });
    const tooHigh = await world.tsbuild(['--network=none', ...AUTO, context]);
    assert.match(tooHigh.stderr, /ERR_TSBUILD_PRIVILEGE: Cannot run as the user or group 1048576: .*ids 0 to 1048575/);
    const plain = world.context({ Dockerfile: 'FROM busybox\nRUN echo helper\n' });
    const helper = await world.tsbuild(['--network=none', ...AUTO, plain], { env: { ...process.env, TSBUILD_LAUNCHER: 'helper' } });
    assert.match(helper.stderr, /ERR_TSBUILD_UNSUPPORTED_KERNEL: Cannot map the ids of steps/);
    const runtime = await world.tsbuild(['run', ...AUTO, '--runtime=runc', 'busybox', 'true']);
    assert.match(runtime.stderr, /ERR_TSBUILD_USAGE: Cannot use --userns=auto with --runtime/);
    const joined = await world.tsbuild(['run', ...AUTO, '--network=container:other', 'busybox', 'true']);
    assert.match(joined.stderr, /ERR_TSBUILD_USAGE: Cannot use --userns=auto with --network container:other/);
    const typo = await world.tsbuild(['--network=none', plain], { env: { ...process.env, TSBUILD_USERNS: 'yes' } });
    assert.equal(typo.code, 2);
  });

  it('leaves nothing when it is killed', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN sleep 6161\n' });
    const build = spawn(process.execPath, [BIN, '--root', world.root, ...AUTO, '--no-cache', context], { stdio: 'ignore' });
    await eventually(() => processesWith('sleep 6161')[0]);
    build.kill('SIGKILL');
    await eventually(() => (processesWith('sleep 6161').length === 0 ? true : undefined));
    await world.succeed(['images']);
  });
});

/** Of processes below `pid` whose command line begins so; undefined where there are none. */
function usersBelow(pid: number, command: string): number[] | undefined {
  const uids = descendantsOf(pid).flatMap((child) => {
    const status = statusOf(child);
    return status.startsWith(`Name:\t${command}`) ? [Number(/^Uid:\t(\d+)/m.exec(status)?.[1])] : [];
  });
  return uids.length === 0 ? undefined : uids;
}
