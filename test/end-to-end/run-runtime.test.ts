/** The container as an OCI config.json: the same to other runtimes as to ours. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeUserWorld, type UserWorld } from './_rootless.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';
import { compileProbe, parseFacts, probeContext } from './security/_probe.ts';

const RUNTIMES = ['runc', 'crun'] as const;

let world: World;

before(async () => {
  world = await makeWorld();
  await world.succeed([
    '-t',
    'app:1',
    world.context({ Dockerfile: 'FROM busybox\nENV FROM_IMAGE=yes\nWORKDIR /tmp\nUSER app\nCMD ["id", "-un"]\n' }),
  ]);
});
after(async () => await world[Symbol.asyncDispose]());

for (const runtime of RUNTIMES) {
  describe(`tsbuild run --runtime ${runtime}`, () => {
    const run = ['run', '--runtime', runtime];

    test('runs the image as tsbuild does: user, directory, environment, exit code', async () => {
      assert.equal(await world.succeed([...run, 'app:1']), 'app');
      const result = await world.tsbuild([...run, '-e', 'A=b c', 'app:1', 'sh', '-c', 'echo $FROM_IMAGE $A; pwd; exit 7']);
      assert.deepEqual([result.stdout, result.code], ['yes b c\n/tmp\n', 7]);
    });

    test('has the network, the hosts and the name servers that tsbuild makes', async () => {
      const command = ['--hostname', 'here', 'app:1', 'sh', '-c', 'hostname; cat /etc/hosts /etc/resolv.conf; ip -o addr | wc -l'];
      assert.equal(await world.succeed([...run, ...command]), await world.succeed(['run', ...command]));
      assert.equal(await world.succeed([...run, '--network', 'none', 'app:1', 'ls', '/sys/class/net']), 'lo');
    });

    test('mounts what is asked for', async () => {
      const data = path.join(world.directory, `data-${runtime}`);
      mkdirSync(data);
      writeFileSync(path.join(data, 'file'), 'of the machine');
      const flags = ['-v', `${data}:/data:ro`, '--tmpfs', '/t', '--read-only', '-u', '0'];
      const script = 'cat /data/file; touch /t/x && echo written; touch /data/x /y 2>&1 | grep -c "Read-only"';
      assert.equal(await world.succeed([...run, ...flags, 'app:1', 'sh', '-c', script]), 'of the machinewritten\n2');
      assert.deepEqual(readdirSync(data), ['file']);
    });

    test('leaves no process when tsbuild is killed, and no control group after the next command', async () => {
      const mark = `98${process.pid % 1000}${runtime.length}${runtime.charCodeAt(0)}`;
      const child = spawn(process.execPath, [BIN, ...run, 'app:1', 'sleep', mark], { env: { ...process.env, TSBUILD_ROOT: world.root } });
      await until(() => sleepers(mark) === 1);
      child.kill('SIGKILL');
      await until(() => sleepers(mark) === 0);
      await world.succeed(['run', 'app:1', 'true']);
      assert.deepEqual(readdirSync(path.join(world.root, 'cgroups')), []);
    });

    test('L1 gives the facts that tsbuild gives, but for what is listed', {
      skip: process.arch !== 'x64' && 'the probe is for x86-64',
    }, async (t) => {
      await factsImage();
      const own = await factsOf('tsbuild', []);
      const theirs = await factsOf(runtime, ['--runtime', runtime]);
      const names = new Set([...own.keys(), ...theirs.keys()]);
      const different = [...names].filter((name) => own.get(name) !== theirs.get(name) && !DIFFERENT.some((known) => known.test(name)));
      t.diagnostic(`${names.size} facts, ${different.length} different`);
      assert.ok(names.size > 250);
      assert.deepEqual(
        different.map((name) => `${name}: ${own.get(name)} → ${theirs.get(name)}`),
        [],
      );
    });
  });
}

/** Where other runtimes do less, or otherwise: names of facts. */
const DIFFERENT: readonly RegExp[] = [
  // The command is PID 1 itself, and no init of ours that nobody may look into; standard input is a pipe of the runtime's.
  /^(?:p?pid|fd\.0|pid1\.fd\.\d+|environ1|try\.kill-2|try\.proc1-[-\w]+|node\.\/|maps1|exe1\.comm|process\.1|status1\..*|(?:path|write|chmod)\.\/proc\/1\/(?:root|cwd|exe))$/,
  /^status\.(?:(?:NS)?(?:tgid|Tgid|pid|Pid|pgid|sid)|PPid|Vm\w+|Rss\w+|SigQ|\w*voluntary_ctxt_switches)$/,
  /^ns\./,
  // A group of control that lets nodes be made and opened, where we let none be opened at all.
  /^mknod\./,
  // What is hidden by one of its own nodes can be changed in mode there: ours is read-only.
  /^chmod\.\/proc\/(?:interrupts|keys|timer_list|latency_stats|sched_debug|timer_stats|kcore)$/,
  /^try\.mknod-whiteout$/,
  // A directory of the machine's file system and no overlay; nodes that are made and none that are mounted; a mount more for a file.
  /^(?:statfs\.\/(?:dev|etc\/hosts|tmp)?|size\.\/etc\/hosts|mount\.\d+)$/,
  // crun knows no number above the profile, and makes one link more.
  /^(?:try\.above-the-profile|dev\.core)$/,
  // The runtime looks at the terminals first.
  /^pty\.number$/,
];

async function factsOf(name: string, flags: readonly string[]): Promise<Map<string, string>> {
  const out = path.join(world.directory, `facts-of-${name}`);
  mkdirSync(out, { recursive: true });
  const command = ['--hostname', 'here', '--network', 'none', '-v', `${out}:/out`, 'facts', '/facts-probe', '/out/facts'];
  await world.succeed(['run', ...flags, ...command]);
  return parseFacts(readFileSync(path.join(out, 'facts'), 'utf8'));
}

let built: Promise<unknown> | undefined;

async function factsImage(): Promise<void> {
  built ??= world.succeed(['-t', 'facts', probeContext(world, 'FROM busybox\nCOPY facts-probe /\n', [compileProbe(world, 'facts')])]);
  await built;
}

describe('tsbuild run --runtime', () => {
  test('keeps limits as the runtime keeps them', async () => {
    const result = await world.tsbuild([
      // Enough for what runc itself needs before it is the command.
      ...['run', '--runtime', 'runc', '--memory', '64m', '-u', '0', 'app:1'],
      ...['sh', '-c', 'head -c 200000000 /dev/zero | tail -c 190000000 | wc -c; cat /proc/1/cgroup | wc -l'],
    ]);
    assert.match(result.stdout, /^0\n/, `${result.code} ${result.stderr}`);
    assert.deepEqual(readdirSync(path.join(world.root, 'cgroups')), []);
  });

  test('publishes ports and passes signals on', async () => {
    const script = 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done';
    const id = await world.succeed(['run', '-d', '--runtime', 'runc', 'app:1', 'sh', '-c', script]);
    await until(async () => (await world.succeed(['logs', id])) === 'ready');
    await world.succeed(['stop', id]);
    assert.equal(await world.succeed(['wait', id]), '3');
    await world.succeed(['rm', id]);
  });

  test('says which runtime is not there', async () => {
    const { code, stderr } = await world.tsbuild(['run', '--runtime', 'nonesuch', 'app:1']);
    assert.equal(code, 2);
    assert.match(stderr, /ERR_TSBUILD_USAGE: Cannot run with the runtime "nonesuch": no such program in PATH/);
  });
});

describe('tsbuild run --bundle', () => {
  test('writes what runc runs', async () => {
    const bundle = path.join(world.directory, 'bundle');
    await world.succeed(['run', '--bundle', bundle, '-e', 'A=1', 'app:1', 'sh', '-c', 'id -un; echo $A; pwd; exit 5']);
    assert.equal(readFileSync(path.join(bundle, 'rootfs/etc/passwd'), 'utf8').includes('app:'), true);
    const result = await runCommand('runc', [
      '--root',
      path.join(world.directory, 'runc'),
      'run',
      '--bundle',
      bundle,
      `tsbuild-test-${process.pid}`,
    ]);
    assert.deepEqual([result.stdout, result.code], ['app\n1\n/tmp\n', 5]);
  });

  test('refuses a directory that is not empty, and flags without a place in a bundle', async () => {
    const { code, stderr } = await world.tsbuild(['run', '--bundle', world.directory, 'app:1']);
    assert.equal(code, 2);
    assert.match(stderr, /the directory is not empty/);
    assert.match((await world.tsbuild(['run', '--bundle', '/nowhere', '-d', 'app:1'])).stderr, /Cannot use --bundle with --detach/);
    assert.equal(existsSync('/nowhere'), false);
  });
});

describe('without root', () => {
  let user: UserWorld;

  before(async () => {
    user = await makeUserWorld();
  });
  after(async () => await user[Symbol.asyncDispose]());

  for (const runtime of RUNTIMES) {
    test(`${runtime} runs an image for an ordinary user`, async () => {
      const script = 'id -u; touch /file && stat -c %u /file; exit 4';
      const result = await user.tsbuild(['run', '--runtime', runtime, '--network', 'none', 'busybox', 'sh', '-c', script]);
      assert.deepEqual([result.stdout, result.code], ['0\n0\n', 4], result.stderr);
    });
  }

  test('limits that a runtime would leave out are refused', async () => {
    const { stderr } = await user.tsbuild(['run', '--runtime', 'runc', '--memory', '32m', 'busybox', 'true']);
    assert.match(stderr, /ERR_TSBUILD_LIMIT_UNAVAILABLE/);
  });

  test('a bundle has the ids of the user, whose runc runs it', async () => {
    const bundle = path.join(user.directory, 'home', 'bundle');
    await user.succeed(['run', '--bundle', bundle, 'busybox', 'sh', '-c', 'id -u; touch /file && stat -c %u /file; exit 6']);
    const state = path.join(user.directory, 'home', 'runc');
    const result = await user.asUser('runc', ['--root', state, 'run', '--bundle', bundle, `tsbuild-user-${process.pid}`]);
    assert.deepEqual([result.stdout, result.code], ['0\n0\n', 6], result.stderr);
  });
});

function sleepers(mark: string): number {
  try {
    return execFileSync('pgrep', ['-c', '-x', '-f', `sleep ${mark}`])
      .toString()
      .trim() === '0'
      ? 0
      : 1;
  } catch {
    return 0;
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await holds()) return;
    await sleep(25);
  }
  assert.fail('It did not come about');
}
