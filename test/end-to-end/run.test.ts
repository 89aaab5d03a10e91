import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeImages } from './_judges.ts';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
  await world.succeed([
    '-t',
    'app:1',
    world.context({
      Dockerfile: 'FROM busybox\nENV FROM_IMAGE=yes\nWORKDIR /tmp\nUSER app\nENTRYPOINT ["/bin/sh", "-c"]\nCMD ["echo default"]\n',
    }),
  ]);
});
after(async () => await world[Symbol.asyncDispose]());

describe('tsbuild run', () => {
  test('runs ENTRYPOINT with CMD, or with the arguments given', async () => {
    assert.equal(await world.succeed(['run', 'app:1']), 'default');
    assert.equal(await world.succeed(['run', 'app:1', 'echo $FROM_IMAGE; pwd; id -un']), 'yes\n/tmp\napp');
  });

  test('passes the exit code and the signal of the command', async () => {
    assert.equal((await world.tsbuild(['run', 'app:1', 'exit 7'])).code, 7);
    assert.equal((await world.tsbuild(['run', 'app:1', 'kill -9 $$'])).code, 137);
  });

  test('--entrypoint, -e, -u and -w replace what the image says', async () => {
    assert.equal(
      await world.succeed([
        'run',
        '--entrypoint',
        '/bin/sh',
        '-e',
        'A=b c',
        '-u',
        '0:10',
        '-w',
        '/etc',
        'app:1',
        '-c',
        'echo $A; id -u; id -g; pwd',
      ]),
      'b c\n0\n10\n/etc',
    );
  });

  test('leaves nothing of what the command wrote', async () => {
    const before = readdirSync(path.join(world.root, 'snapshots/d')).length;
    await world.succeed(['run', '-u', '0', 'app:1', 'echo x > /written']);
    assert.equal((await world.tsbuild(['run', 'app:1', 'cat /written'])).code, 1);
    assert.equal(readdirSync(path.join(world.root, 'snapshots/d')).length, before);
  });

  test('-i passes standard input on, which is empty otherwise', async () => {
    assert.equal(await world.succeed(['run', '-i', 'app:1', 'cat'], { input: 'from stdin' }), 'from stdin');
    assert.equal(await world.succeed(['run', 'app:1', 'cat'], { input: 'from stdin' }), '');
  });

  test('a command that cannot be started is 127 or 126, as a shell says', async () => {
    const run = ['run', '--entrypoint'];
    assert.equal((await world.tsbuild([...run, 'missing', 'app:1'])).code, 127);
    assert.equal((await world.tsbuild([...run, '/etc/passwd', 'app:1'])).code, 126);
  });

  test('passes signals on to the command, whose exit code counts', async () => {
    const script = 'trap "echo asked; exit 9" TERM; echo ready; while :; do sleep 0.05; done';
    assert.deepEqual(await interrupted(['run', 'app:1', script], ['SIGTERM']), { code: 9, stdout: 'ready\nasked\n' });
    const stubborn = 'trap "" TERM; echo ready; while :; do sleep 0.05; done';
    assert.deepEqual(await interrupted(['run', 'app:1', stubborn], ['SIGTERM', 'SIGTERM']), { code: 143, stdout: 'ready\n' });
  });

  test('reaps what the command leaves behind', async () => {
    const script = '(sleep 0.1 &) ; sleep 0.4; ps -o stat | grep -c Z';
    assert.equal((await world.tsbuild(['run', '--init', 'app:1', script])).stdout, '0\n');
  });

  test('-v and --mount show files of the machine, read-only where asked', async () => {
    const dir = world.context({ file: 'of the host\n', 'sub/inner': 'x' });
    const flags = ['-v', `${dir}/file:/f:ro`, '-v', `${dir}/sub:/new/place`, '--mount', `type=bind,src=${dir},dst=/all,ro`];
    const result = await world.tsbuild(['run', '-u', '0', ...flags, 'app:1', 'cat /f; touch /new/place/made; touch /f /all/no; ls /all']);
    assert.equal(result.stdout, 'of the host\nfile\nsub\n');
    assert.equal(result.stderr.match(/Read-only file system/g)?.length, 2);
    assert.deepEqual(readdirSync(path.join(dir, 'sub')), ['inner', 'made']);
  });

  test('a mount that cannot be made is told before anything runs', async () => {
    const expected: [flags: string[], code: string, words: RegExp][] = [
      [['-v', '/not/there:/x'], 'MOUNT_INVALID', /ENOENT/],
      [['-v', 'data:/x'], 'USAGE', /named volume/],
      [['-v', '/etc:/proc/1'], 'MOUNT_INVALID', /kernel/],
      [['-v', '/etc:relative'], 'MOUNT_INVALID', /absolute/],
      [['-v', '/etc:/x:z'], 'USAGE', /ro or rw/],
      [['--mount', 'type=volume,dst=/x'], 'USAGE', /bind or tmpfs/],
      [['--mount', 'type=bind,src=/etc,dst=/x,bind-propagation=shared'], 'USAGE', /no field/],
      [['--tmpfs', '/x:uid=7'], 'USAGE', /unknown/],
    ];
    for (const [flags, code, words] of expected) {
      const { stderr, stdout } = await world.tsbuild(['run', ...flags, 'app:1', 'echo ran']);
      assert.equal(stdout, '');
      assert.match(stderr, new RegExp(`ERR_TSBUILD_${code}`), flags.join(' '));
      assert.match(stderr, words);
    }
  });

  test('a source is followed outside, a target only inside', async () => {
    const dir = world.context({ 'real/file': 'yes\n' });
    symlinkSync('real', path.join(dir, 'link'));
    await world.succeed(['-t', 'linked:1', world.context({ Dockerfile: 'FROM busybox\nRUN ln -s /etc /target\n' })]);
    const script = 'cat /etc/file; ls /etc';
    assert.equal(
      await world.succeed(['run', '-v', `${dir}/link:/target`, 'linked:1', 'sh', '-c', script]),
      'yes\nfile\nhosts\nresolv.conf',
    );
    assert.equal(readdirSync('/etc').includes('file'), false);
  });

  test('--read-only protects the root and leaves the mounts, --tmpfs makes one', async () => {
    const flags = ['-u', '0', '--read-only', '--tmpfs', '/run:size=1m,mode=0700', '--tmpfs', '/opt:exec'];
    const script =
      'for f in /x /tmp/x /etc/x; do touch $f 2>/dev/null && echo $f; done; touch /run/x /opt/x /dev/shm/x && stat -c %a /run; df -k /run | tail -n 1 | tr -s " " | cut -d" " -f2; grep -E " /(run|opt) " /proc/mounts | cut -d" " -f4';
    const { stdout, stderr } = await world.tsbuild(['run', ...flags, 'app:1', script]);
    const [mode, size, opt, run] = stdout.trim().split('\n');
    assert.deepEqual([mode, size, stderr], ['700', '1024', '']);
    assert.equal([opt, run].filter((options) => options?.includes('noexec')).length, 1);
    assert.ok([opt, run].every((options) => options?.includes('nosuid,nodev')));
  });

  test('--cap-add, --cap-drop, --security-opt and --privileged change what the command may', async () => {
    const own = 'grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status | cut -f2 | tr "\\n" " "';
    const caps = async (...flags: string[]) => await world.succeed(['run', '-u', '0', ...flags, 'app:1', own]);
    assert.equal(await caps('--cap-drop', 'ALL'), '0000000000000000 0 2');
    assert.equal(await caps('--cap-drop', 'all', '--cap-add', 'chown'), '0000000000000001 0 2');
    assert.equal(await caps('--cap-add', 'CAP_SYS_TIME'), '00000000aa0425fb 0 2');
    assert.equal(await caps('--security-opt', 'no-new-privileges', '--security-opt', 'seccomp=unconfined'), '00000000a80425fb 1 0');
    const mine = await world.succeed(['run', '-u', '0', '--privileged', 'app:1', 'grep CapBnd /proc/self/status']);
    assert.equal(await caps('--privileged'), `${mine.split('\t')[1]} 0 0`);
    assert.ok(BigInt(`0x${mine.split('\t')[1]}`) > 0xa80425fbn);
    assert.match((await world.tsbuild(['run', '--cap-add', 'NONE', 'app:1'])).stderr, /no such capability/);
    assert.match((await world.tsbuild(['run', '--security-opt', 'label=disable', 'app:1'])).stderr, /only no-new-privileges/);
  });

  test('--hostname, --add-host, --env-file and --platform', async () => {
    const dir = world.context({ env: '# comment\nA=1 2\nB="quoted"\nFROM_FILE\n' });
    const flags = ['--hostname', 'box', '--add-host', 'db:10.1.2.3', '--env-file', `${dir}/env`, '-e', 'C=3', '--platform', 'linux/amd64'];
    const script = 'hostname; grep -c "10.1.2.3.db" /etc/hosts; echo "$A $B $C $FROM_FILE"';
    assert.equal(await world.succeed(['run', ...flags, 'app:1', script], { env: { FROM_FILE: 'mine' } }), 'box\n1\n1 2 "quoted" 3 mine');
  });

  test('--pull never asks no registry', async () => {
    assert.match((await world.tsbuild(['run', '--pull', 'never', 'nowhere.invalid/x', 'true'])).stderr, /ERR_TSBUILD_IMAGE_NOT_FOUND/);
  });

  test('what docker has and tsbuild has not is an error', async () => {
    for (const flag of ['--restart=always', '--gpus=all', '--ipc=host', '--pid=host']) {
      const { code, stderr } = await world.tsbuild(['run', flag, 'app:1', 'true']);
      assert.equal(code, 2, flag);
      assert.match(stderr, /unknown option/i);
    }
  });

  test('leaves no record of a container in the foreground', () => {
    assert.deepEqual(readdirSync(path.join(world.root, 'containers')), ['lock']);
  });
});

/** Sends each signal a while after the command has said `ready`. */
async function interrupted(args: readonly string[], signals: readonly NodeJS.Signals[]): Promise<{ code: number | null; stdout: string }> {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, TSBUILD_ROOT: world.root },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let stdout = '';
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
      if (stdout.includes('ready')) resolve();
    });
  });
  for (const signal of signals) {
    child.kill(signal);
    await sleep(300);
  }
  const code = child.exitCode ?? (await new Promise<number | null>((resolve) => child.once('exit', resolve)));
  return { code, stdout };
}

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
