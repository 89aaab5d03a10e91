import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readHierarchies } from '../../src/sandbox/cgroup/hierarchies.ts';
import { makeUserWorld, type UserWorld } from './_rootless.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => {
  assert.deepEqual(groupsOfSteps(), [], 'no control group is left');
  await world[Symbol.asyncDispose]();
});

/** Takes 200 MB into the memory of a shell's child. */
const HOG = 'tail -c 199999999 /dev/zero';

/** Builds one RUN and returns its lines of output. */
async function seen(command: string, flags: readonly string[]): Promise<string> {
  const context = world.context({ Dockerfile: `FROM busybox\nRUN ${command} > /seen\nFROM busybox\nCOPY --from=0 /seen /seen` });
  await world.succeed(['-t', 'seen', '--no-cache', '--network', 'none', ...flags, context]);
  return await world.succeed(['run', '--network', 'none', 'seen', 'cat', '/seen']);
}

async function failing(flags: readonly string[], { run = 'true', code = 1 } = {}): Promise<string> {
  const context = world.context({ Dockerfile: `FROM busybox\nRUN ${run}\n` });
  const result = await world.tsbuild(['--no-cache', '--network', 'none', ...flags, context]);
  assert.equal(result.code, code, `${flags.join(' ')}: ${result.stderr}`);
  return result.stderr;
}

function groupsOfSteps(): string[] {
  const tops = readHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  const inside = (directory: string): string[] =>
    !existsSync(directory)
      ? []
      : readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
          const inner = path.join(directory, entry.name);
          return entry.isDirectory() ? [...(entry.name.startsWith('tsbuild-') ? [inner] : []), ...inside(inner)] : [];
        });
  return [...new Set(tops.flatMap(({ own, top }) => [...inside(own), ...inside(path.join(top, 'builds-of-a-test'))]))];
}

/** The first group of a step that appears, and what its file of this name says; undefined once `until` has ended. */
async function whileRunning(flags: readonly string[], read: (groups: readonly string[]) => string): Promise<string> {
  const context = world.context({ Dockerfile: 'FROM busybox\nRUN sleep 4\n' });
  const build = world.tsbuild(['--no-cache', '--network', 'none', ...flags, context]);
  let found: string | undefined;
  for (let i = 0; i < 400 && found === undefined; i++) {
    await sleep(10);
    const groups = groupsOfSteps();
    if (groups.length === 0) continue;
    await sleep(300); // all of them made, and the step inside
    found = read(groupsOfSteps());
  }
  const { code, stderr } = await build;
  assert.equal(code, 0, stderr);
  return found ?? '';
}

describe('memory', () => {
  test('X9 a step that needs more than its memory is killed, and the error names the limit and the flag', async () => {
    const message = await failing(['--memory', '32m'], { run: HOG });
    assert.match(message, /out of memory \(limit 32 MiB\)/);
    assert.match(message, /137/);
    assert.match(message, /Dockerfile:2/);
    assert.match(message, /hint: .*--memory/);
  });

  test('X9 the kill of one of its processes is told as what it was, also where a shell turns it into an exit code', async () => {
    const message = await failing(['--memory', '32m'], { run: `(${HOG}); exit 137` });
    assert.match(message, /exited with code 137: out of memory \(limit 32 MiB\)/);
  });

  test('X9 another step goes on while one is killed', async () => {
    const context = world.context({
      Dockerfile: `FROM busybox AS good\nRUN sleep 2; echo good > /good\nFROM busybox AS bad\nRUN ${HOG} || true\nFROM busybox\nCOPY --from=good /good /\nCOPY --from=bad /etc/passwd /bad\n`,
    });
    const { code, stderr } = await world.tsbuild([
      '-t',
      'both',
      '--no-cache',
      '--network',
      'none',
      '--jobs',
      '2',
      '--memory',
      '32m',
      context,
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /WARNING: A process of RUN tail .* was killed, out of memory \(limit 32 MiB\), and the step went on/);
    assert.equal(await world.succeed(['run', 'both', 'cat', '/good']), 'good');
  });

  test('a step within its memory knows nothing of it', async () => {
    assert.equal(await seen('head -c 1000000 /dev/zero | wc -c', ['--memory', '32m']), '1000000');
  });

  test('what is in /dev/shm counts (L7)', async () => {
    const message = await failing(['--memory', '32m', '--shm-size', '128m'], { run: 'dd if=/dev/zero of=/dev/shm/x bs=1M count=100' });
    assert.match(message, /out of memory \(limit 32 MiB\)/);
  });

  test('run takes limits, too', async () => {
    const result = await world.tsbuild(['run', '--memory', '32m', '--network', 'none', 'busybox', 'sh', '-c', HOG]);
    assert.equal(result.code, 137, result.stderr);
    assert.match(result.stderr, /^WARNING: The kernel killed a process of the container, out of memory$/m);
    assert.equal(await world.succeed(['run', '--memory', '64m', '--cpus', '0.5', '--pids-limit', '9', 'busybox', 'echo', 'fine']), 'fine');
  });
});

describe('processes, CPUs and shared memory', () => {
  test('F9 a fork bomb ends at its limit of processes', async () => {
    const message = await failing(['--pids-limit', '20'], {
      run: 'b() { b | b & }; b; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do sleep 1 & done; wait',
    });
    assert.match(message, /fork/);
  });

  test('a quota of CPU time counts', async () => {
    const spin = 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat /proc/self/stat > /dev/null; echo done';
    assert.equal(await seen(spin, ['--cpus', '0.2']), 'done');
    const files = await whileRunning(['--cpus', '0.2', '-c', '512'], (groups) =>
      readAll(groups, ['cpu.cfs_quota_us', 'cpu.shares', 'cpu.max', 'cpu.weight']),
    );
    assert.match(files, /^(cpu\.cfs_quota_us=20000 cpu\.shares=512|cpu\.max=20000 100000 cpu\.weight=59)$/);
  });

  test('a set of CPUs is all that a step sees', async () => {
    assert.equal(await seen('nproc', ['--cpuset-cpus', '0', '--cpuset-mems', '0']), '1');
    assert.equal(await seen('nproc', ['--resource', 'cpuset-cpus=1']), '1');
  });

  test('/dev/shm has the size that is asked for', async () => {
    const size = "df -k /dev/shm | awk 'NR==2 {print $2}'";
    assert.equal(await seen(size, []), String(64 * 1024));
    assert.equal(await seen(size, ['--shm-size', '8m']), String(8 * 1024));
  });

  test('the group is where --cgroup-parent says, and nothing of it stays', async () => {
    const names = await whileRunning(['--memory', '64m', '--cgroup-parent', '/builds-of-a-test/inner'], (groups) => groups.join('\n'));
    assert.match(names, /builds-of-a-test\/inner\/tsbuild-[0-9a-f]{16}$/m);
    assert.deepEqual(groupsOfSteps(), []);
  });
});

describe('limits of each process', () => {
  test('are as given', async () => {
    assert.equal(await seen('{ ulimit -Sn; ulimit -Hn; }', ['--ulimit', 'nofile=100:200']), '100\n200');
    assert.equal(await seen('{ ulimit -Sc; ulimit -Hc; }', ['--ulimit', 'core=0']), '0\n0');
  });

  test('are never above the caller’s, and a warning says so', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN ulimit -Hn > /seen\n' });
    const args = ['-t', 'lowered', '--no-cache', '--network', 'none', '--ulimit', 'nofile=-1', context];
    const env = { ...process.env, TSBUILD_ROOT: world.root };
    const result = await runCommand('sh', ['-c', 'ulimit -n 5000; exec "$@"', 'sh', process.execPath, BIN, ...args], { env });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stderr, /WARNING: --ulimit nofile is 5000:5000/);
    assert.equal(await world.succeed(['run', 'lowered', 'cat', '/seen']), '5000');
  });

  test('of open files is the caller’s own, not the one that Node has raised', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN { ulimit -Sn; ulimit -Hn; } > /seen\n' });
    const build = `ulimit -n 5000; ulimit -Sn 777; "$@"; exit $?`;
    const args = ['-t', 'open-files', '--no-cache', '--network', 'none', context];
    const env = { ...process.env, TSBUILD_ROOT: world.root };
    const result = await runCommand('sh', ['-c', build, 'sh', process.execPath, BIN, ...args], { env });
    assert.equal(result.code, 0, result.stderr);
    assert.equal(await world.succeed(['run', 'open-files', 'cat', '/seen']), '777\n5000');
  });

  test('a step with a secret leaves no dump of its memory (J1)', async () => {
    const context = world.context({
      Dockerfile:
        'FROM busybox\nRUN --mount=type=secret,id=s grep core /proc/self/limits > /seen\nRUN grep core /proc/self/limits > /after\n',
    });
    const args = ['-t', 'dumps', '--no-cache', '--network', 'none', '--secret', 'id=s,env=HOME', '--ulimit', 'core=-1', context];
    const env = { ...process.env, TSBUILD_ROOT: world.root };
    const result = await runCommand('sh', ['-c', 'ulimit -c unlimited; exec "$@"', 'sh', process.execPath, BIN, ...args], { env });
    assert.equal(result.code, 0, result.stderr);
    assert.match(await world.succeed(['run', 'dumps', 'cat', '/seen']), /size +1 +1 /);
    assert.match(await world.succeed(['run', 'dumps', 'cat', '/after']), /unlimited +unlimited/);
  });
});

describe('what cannot be', () => {
  test('is bad usage where no machine could do it', async () => {
    const cases: [string[], RegExp][] = [
      [['--memory', '5m'], /least that a program can start with is 6m/],
      [['--memory', 'much'], /not a size/],
      [['--memory', '64m', '--memory-swap', '32m'], /not less than --memory/],
      [['--cpus', '1000'], /this machine has/],
      [['--cpus', '-1'], /not a number/],
      [['--cpuset-cpus', 'all'], /not a list/],
      [['--pids-limit', 'x'], /not a whole number/],
      [['--ulimit', 'nofile'], /not name=soft/],
      [['--ulimit', 'files=1'], /no such limit/],
      [['--ulimit', 'nofile=2:1'], /above the hard one/],
      [['--shm-size', '-1'], /not a size/],
      [['--cgroup-parent', '/../x'], /not a path of directories/],
      [['--resource', 'disk=1g'], /not one of memory=/],
      [['--resource', 'memory'], /not one of memory=/],
    ];
    for (const [flags, message] of cases) assert.match(await failing(flags, { code: 2 }), message, flags.join(' '));
  });

  test('is an error where this machine cannot, and never left out', async () => {
    const message = await failing(['--cpuset-cpus', '777']);
    assert.match(message, /ERR_TSBUILD_(USAGE|LIMIT_UNAVAILABLE).*cpuset/);
  });

  test('is an error that names the controller where no control groups are to be seen', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
    const hide = 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"';
    const args = ['-m', 'sh', '-c', hide, 'sh', process.execPath, BIN, '--no-cache', '--network', 'none', '--memory', '64m', context];
    const result = await runCommand('unshare', args, { env: { ...process.env, TSBUILD_ROOT: world.root } });
    assert.equal(result.code, 1, result.stderr);
    assert.match(
      result.stderr,
      /ERR_TSBUILD_LIMIT_UNAVAILABLE: Cannot limit the memory of a step: .*no control groups with the controller memory/,
    );
  });

  test('is an error where the control groups are read-only', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
    const lock = 'for m in $(grep -E " - cgroup2? " /proc/self/mountinfo | cut -d" " -f5); do mount -o remount,bind,ro $m; done; exec "$@"';
    const args = ['-m', 'sh', '-c', lock, 'sh', process.execPath, BIN, '--no-cache', '--network', 'none', '--pids-limit', '64', context];
    const result = await runCommand('unshare', args, { env: { ...process.env, TSBUILD_ROOT: world.root } });
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stderr, /Cannot limit the number of processes of a step: .*\(EROFS\)/);
  });
});

describe('as an ordinary user (rootless)', () => {
  const DOCKERFILE = { Dockerfile: `FROM busybox\nRUN ${HOG}\n` };
  let users: UserWorld;
  before(async () => {
    users = await makeUserWorld();
  });
  after(async () => await users[Symbol.asyncDispose]());

  test('limits are refused where no control group is the user’s, and the error says how to get one', async () => {
    const { code, stderr } = await users.tsbuild(['--no-cache', '--network', 'none', '--memory', '32m', users.context(DOCKERFILE)]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ERR_TSBUILD_LIMIT_UNAVAILABLE: Cannot limit the memory of a step: /);
    assert.match(stderr, /hint: Start tsbuild as systemd-run --user --scope -p Delegate=yes/);
  });

  test('X9 limits count where a control group has been delegated to the user', async () => {
    const places = delegated(users.user.uid);
    try {
      const join = `for group; do [ "$group" = -- ] && break; echo 0 > "$group/cgroup.procs"; done; while [ "$1" != -- ]; do shift; done; shift; exec "$@"`;
      const { uid, gid } = users.user;
      const build = [BIN, '--no-cache', '--network', 'none', '--memory', '32m', '--pids-limit', '50', users.context(DOCKERFILE)];
      const user = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', process.execPath, ...build];
      const env = { PATH: process.env['PATH'], HOME: users.directory, TSBUILD_ROOT: users.root };
      const { code, stderr } = await runCommand('bash', ['-c', join, 'bash', ...places, '--', ...user], { env });
      assert.equal(code, 1, stderr);
      assert.match(stderr, /was killed with SIGKILL, exit code 137: out of memory \(limit 32 MiB\)/);
      await users.succeed(['images']);
      for (const place of places)
        assert.deepEqual(
          readdirSync(place).filter((name) => name.startsWith('tsbuild-')),
          [],
        );
    } finally {
      for (const place of places) rmdirSync(place);
    }
  });
});

/** A control group of the user's own in each hierarchy that has these controllers, as a service manager would delegate it. */
function delegated(uid: number): string[] {
  const controllers = ['memory', 'pids'];
  const hierarchies = readHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  const places = hierarchies.filter(
    (hierarchy) =>
      controllers.some((name) => hierarchy.controllers.includes(name)) || (hierarchy.version === 2 && hierarchies.length === 1),
  );
  return places.map(({ version, own, top }) => {
    const place = path.join(version === 2 ? top : own, `delegated-${uid}`);
    if (version === 2) writeFileSync(path.join(top, 'cgroup.subtree_control'), '+memory +pids');
    mkdirSync(place);
    chownSync(place, uid, uid);
    for (const file of ['cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control', 'tasks']) {
      if (existsSync(path.join(place, file))) chownSync(path.join(place, file), uid, uid);
    }
    return place;
  });
}

test('a killed tsbuild leaves an empty group, which the next command removes', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\nRUN sleep 30\n' });
  const env = { ...process.env, TSBUILD_ROOT: world.root };
  const child = spawn(process.execPath, [BIN, '--no-cache', '--network', 'none', '--memory', '64m', context], { env, stdio: 'ignore' });
  for (let i = 0; i < 500 && groupsOfSteps().length === 0; i++) await sleep(10);
  await sleep(300);
  const groups = groupsOfSteps();
  assert.ok(groups.length > 0);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  await sleep(500);
  for (const group of groups) assert.equal(readFileSync(path.join(group, 'cgroup.procs'), 'utf8'), '', 'no process is left');
  await world.succeed(['images']);
  assert.deepEqual(groupsOfSteps(), []);
  assert.ok(!existsSync(path.join(world.root, 'cgroups')) || readdirSync(path.join(world.root, 'cgroups')).length === 0);
});

function readAll(groups: readonly string[], files: readonly string[]): string {
  return files
    .flatMap((file) => {
      const group = groups.find((directory) => existsSync(path.join(directory, file)));
      return group === undefined ? [] : [`${file}=${readFileSync(path.join(group, file), 'utf8').trim()}`];
    })
    .join(' ');
}
