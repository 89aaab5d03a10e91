/** Group M: state directories, ordinary users, and the two setuid programs that give them ids. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { makeUserWorld, type UserWorld } from '../_rootless.ts';
import { BIN, type CommandResult, makeWorld, runCommand, type World } from '../_world.ts';

const AGED = "find / -xdev -newer /etc/passwd -exec touch -h -d @1700000000 '{}' + 2> /dev/null || true";
const OWNED = `FROM busybox\nRUN mkdir /x && echo 1 > /x/y && chown 900:901 /x /x/y; ${AGED}\n`;

function layersOf(inspected: string): string[] {
  const { manifest } = JSON.parse(inspected) as { manifest: { layers: { digest: string }[] } };
  return manifest.layers.map(({ digest }) => digest);
}

async function builtLayers(world: World, dockerfile: string): Promise<string[]> {
  await world.succeed(['-q', '--network=none', '-t', 'out', world.context({ Dockerfile: dockerfile })]);
  return layersOf(await world.succeed(['inspect', 'out']));
}

/** The system calls of a build by the user, as strace writes them; the setuid programs keep their privilege. */
async function traced(world: UserWorld, calls: string, dockerfile: string): Promise<string> {
  const trace = path.join(world.directory, 'trace');
  const context = world.context({ Dockerfile: dockerfile });
  const command = [process.execPath, BIN, '--network=none', '-t', 'traced', context];
  const strace = ['-f', '-u', world.user.name, '-v', '-s', '300', '-e', `trace=${calls}`, '-o', trace, ...command];
  const env = { PATH: process.env['PATH'], HOME: path.dirname(world.root), TSBUILD_ROOT: world.root };
  const { code, stderr } = await runCommand('strace', strace, { env, cwd: world.directory });
  assert.equal(code, 0, stderr);
  return readFileSync(trace, 'latin1');
}

describe('a state directory', () => {
  it('M1 no build makes a file in a directory that everybody writes to', async () => {
    await using world = await makeUserWorld();
    const trace = await traced(
      world,
      'openat,open,creat,mkdir,mkdirat,symlink,symlinkat,rename,renameat2',
      'FROM busybox\nRUN echo x > /x\nCOPY Dockerfile /\n',
    );
    const made = trace.split('\n').filter((line) => /O_CREAT|mkdir|symlink|rename|creat\(/.test(line));
    assert.ok(
      made.some((line) => line.includes(world.root)),
      'the trace has what the build makes',
    );
    const shared = made.filter((line) => /"\/(tmp|var\/tmp|dev\/shm)\//.test(line) && !line.includes(world.directory));
    assert.deepEqual(shared, []);
  });

  it('M2 root leaves the state directory of somebody else alone', async () => {
    await using world = await makeUserWorld();
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo x > /x\n' });
    for (let round = 0; round < 3; round++) {
      await world.succeed(['-q', '--network=none', '--no-cache', context]);
      const asRoot = await runCommand(process.execPath, [BIN, '--network=none', context], {
        env: { ...process.env, TSBUILD_ROOT: world.root },
      });
      assert.equal(asRoot.code, 1);
      assert.match(asRoot.stderr, new RegExp(`ERR_TSBUILD_STORE_INVALID: .* owned by user ${world.user.uid}, not by user 0`));
      assert.equal(execFileSync('find', [world.root, '-uid', '0'], { encoding: 'utf8' }), '', 'no file belongs to root');
    }
    await removeAll(world);
  });

  it('M4 directories of every mode are unpacked, changed, packed and removed without root', async () => {
    await using root = await makeWorld();
    await using world = await makeUserWorld();
    const dockerfile = `FROM busybox\nADD modes.tar /m\nRUN for d in /m/*; do echo 1 > $d/new && rm $d/old; done; ${AGED}\n`;
    const layers = await Promise.all(
      [root, world].map(async (one) => {
        const context = one.context({ Dockerfile: dockerfile });
        execFileSync('sh', [
          '-euc',
          `mkdir ${context}/m; cd ${context}/m
          for mode in 0 1 2 4 10 20 40 100 200 400 555 700 750 777 1777 2755 4000; do
            mkdir d$mode; echo old > d$mode/old; chmod 0 d$mode/old; chown $((0$mode + 10)) d$mode; chmod $mode d$mode; done
          tar --numeric-owner --mtime=@1700000000 --sort=name -cf ../modes.tar . && cd .. && rm -r m`,
        ]);
        await one.succeed(['-q', '--network=none', '-t', 'out', context]);
        return layersOf(await one.succeed(['inspect', 'out']));
      }),
    );
    assert.deepEqual(layers[1], layers[0]);
    await world.succeed(['rmi', 'out', 'busybox']);
    await removeAll(world);
  });
});

/** As the user, without root. */
async function removeAll(world: UserWorld): Promise<void> {
  await world.succeed(['unshare', 'rm', '-rf', world.root]);
  assert.equal(existsSync(world.root), false);
}

interface IdFiles {
  readonly lines: (user: UserWorld['user']) => string;
  /** A directory whose newuidmap and newgidmap take the place of the machine's. */
  readonly mapper?: 'missing';
  readonly result: 'as root' | 'one id' | 'short';
}

const ID_FILES: Readonly<Record<string, IdFiles>> = {
  'one range': { lines: ({ name }) => `${name}:200000:65536`, result: 'as root' },
  'several ranges': { lines: ({ name }) => `other:1:5\n${name}:200000:500\n${name}:300000:65036`, result: 'as root' },
  'ranges by number': { lines: ({ uid }) => `${uid}:200000:65536`, result: 'as root' },
  'ranges that overlap': { lines: ({ name }) => `${name}:200000:65536\n${name}:200100:65536`, result: 'as root' },
  'lines that are none': {
    lines: ({ name }) => `${name}\n:::\n${name}:x:y\n${name}:-1:65536\n#\n${name}:200000:65536\n${name}:1:2:3`,
    result: 'as root',
  },
  'a huge range': { lines: ({ name }) => `${name}:200000:4000000000`, result: 'as root' },
  'a short range': { lines: ({ name }) => `${name}:200000:100`, result: 'short' },
  'no range': { lines: () => 'other:100000:65536', result: 'one id' },
  'an empty file': { lines: () => '', result: 'one id' },
  'no newuidmap': { lines: ({ name }) => `${name}:200000:65536`, mapper: 'missing', result: 'one id' },
};

describe('subordinate ids', () => {
  for (const [name, { lines, mapper, result }] of Object.entries(ID_FILES)) {
    it(`M3 ${name}: ${result}`, async () => {
      await using root = await makeWorld();
      await using world = await makeUserWorld({ ranges: [] });
      const file = path.join(world.directory, 'ids');
      writeFileSync(file, `${lines(world.user)}\n`);
      chmodSync(file, 0o644);
      const context = world.context({
        Dockerfile: 'FROM busybox\nCOPY --chown=900:901 Dockerfile /\nRUN cat /proc/self/uid_map >&2\n',
        Owned: OWNED,
      });
      const run = async (args: readonly string[]) => await withIdFiles(world, { file, mapper }, args);
      const copied = await run(['--progress=plain', '--network=none', context]);
      if (result === 'short') {
        assert.match(copied.stderr, /ERR_TSBUILD_PRIVILEGE: Cannot give .* to 900:901: this user namespace has the users 0, 1 to 100 /);
        return;
      }
      assert.equal(copied.code, 0, copied.stderr);
      assert.equal(/no subordinate ids/.test(copied.stderr), result === 'one id', copied.stderr);
      const owned = await run(['--network=none', '-t', 'out', '-f', path.join(context, 'Owned'), context]);
      if (result === 'one id') {
        assert.match(owned.stderr, /chown: .*(Invalid argument|not permitted)/);
        return;
      }
      assert.equal(owned.code, 0, owned.stderr);
      const inspected = await run(['inspect', 'out']);
      assert.deepEqual(layersOf(inspected.stdout), await builtLayers(root, OWNED));
    });
  }
});

/** In a mount namespace where the machine's files are others. */
async function withIdFiles(
  world: UserWorld,
  files: { file: string; mapper: 'missing' | undefined },
  args: readonly string[],
): Promise<CommandResult> {
  const binds = [`mount --bind ${files.file} /etc/subuid`, `mount --bind ${files.file} /etc/subgid`];
  // Without its setuid bit it is as good as missing.
  if (files.mapper === 'missing') binds.push('mount --bind -o nosuid /usr/bin /usr/bin', 'mount -o remount,bind,nosuid /usr/bin');
  const command = `setpriv --reuid=${world.user.uid} --regid=${world.user.gid} --clear-groups "$0" "$@"`;
  const env = { PATH: process.env['PATH'], HOME: path.dirname(world.root), TSBUILD_ROOT: world.root };
  return await runCommand('unshare', ['-m', 'sh', '-ec', `${binds.join('\n')}\nexec ${command}`, process.execPath, BIN, ...args], {
    env,
    cwd: world.directory,
  });
}

describe('privileges', () => {
  it('M5 newuidmap and newgidmap are started by their absolute paths, with no environment', async () => {
    await using world = await makeUserWorld();
    const trace = await traced(world, 'execve', 'FROM busybox\n');
    const started = trace.split('\n').filter((line) => /execve\("[^"]*new[ug]idmap"/.test(line));
    assert.equal(started.length, 2, trace);
    for (const line of started)
      assert.match(line, /execve\("\/usr\/bin\/new[ug]idmap", \["\/usr\/bin\/new[ug]idmap", "\d+", [^\]]*\], \[\]/);
  });

  it('M6 nothing of the package is setuid, and no build listens anywhere', async () => {
    assert.equal(execFileSync('find', ['bin', 'dist', '-perm', '/6000'], { encoding: 'utf8' }), '');
    await using world = await makeUserWorld();
    assert.doesNotMatch(await traced(world, 'listen,execve', 'FROM busybox\nRUN true\n'), /listen\(/);
  });
});

describe('a rootless step', () => {
  it('B7 finds no control group that it can write to, and can mount none', async () => {
    await using world = await makeUserWorld();
    const script =
      'find /sys/fs/cgroup -writable 2>/dev/null | head; mount -t cgroup -o cpu none /mnt 2>&1; mount -t cgroup2 none /mnt 2>&1; unshare -U true 2>&1; exit 0';
    const context = world.context({ Dockerfile: `FROM busybox\nRUN mkdir -p /mnt; (${script}) > /seen\nRUN cat /seen >&2\n` });
    const { code, stderr } = await world.tsbuild(['--progress=plain', '--network=none', context]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /\/sys\/fs\/cgroup\//);
    assert.equal(stderr.match(/mount: .*(denied|not permitted|are you root)/g)?.length, 2, stderr);
    assert.match(stderr, /unshare.*not permitted/);
  });

  it('B11 leaves a setuid program on the disk that is nobody’s but the user’s', async () => {
    await using world = await makeUserWorld();
    await world.succeed([
      '-q',
      '--network=none',
      world.context({
        Dockerfile: 'FROM busybox\nRUN cp /bin/busybox /su && chmod 4755 /su && cp /su /su2 && chown 5 /su2 && chmod 4755 /su2\n',
      }),
    ]);
    const found = execFileSync('find', [world.root, '-perm', '-4000', '-printf', '%U\n'], { encoding: 'utf8' });
    assert.deepEqual(found.trim().split('\n').sort(), [String(world.user.uid), '300004'].sort());
    assert.equal(execFileSync('stat', ['-c', '%a', world.root], { encoding: 'utf8' }).trim(), '700');
  });
});
