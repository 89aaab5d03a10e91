/** An ordinary user builds what root builds, bit for bit, in a user namespace of the user's own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AGED, BUILDS, layersOf, layersOfSteps, TREE } from './_builds.ts';
import { emptyUserWorld, makeUserWorld, type UserWorld } from './_rootless.ts';
import { BIN, makeWorld, type World } from './_world.ts';

describe('an ordinary user with subordinate ids', () => {
  let root: World;
  let user: UserWorld;
  before(async () => {
    [root, user] = await Promise.all([makeWorld(), makeUserWorld()]);
  });
  after(async () => {
    await root[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });

  for (const [name, instructions] of Object.entries(BUILDS)) {
    it(`builds the layers that root builds: ${name}`, async () => {
      const digests = await Promise.all([root, user].map(async (world) => await layersOfSteps(world, instructions)));
      assert.ok((digests[0] ?? []).length > 1);
      assert.deepEqual(digests[1], digests[0]);
    });
  }
});

/** The cases whose steps make device nodes, which the kernel lets nobody do in a user namespace. */
const NEED_ROOT = 'from-device$|run-devices$';
/** TSBUILD_ROOTLESS_ALL=1: all thousand cases, in two minutes. */
const SAMPLE = process.env['TSBUILD_ROOTLESS_ALL'] === '1' ? '' : '(copy-[c-d]|user-|workdir-|run-[a-h])';

describe('the corpus of Dockerfiles', () => {
  it('makes for an ordinary user what BuildKit makes for root', async (t) => {
    await using world = emptyUserWorld();
    const file = path.join(import.meta.dirname, 'dockerfiles.test.js');
    const test = ['--test', '--test-reporter=tap', `--test-name-pattern=^(?!${NEED_ROOT})${SAMPLE}`, file];
    const { code, stdout } = await world.asUser(process.execPath, [BIN, 'unshare', process.execPath, ...test], {
      ...{ cwd: process.cwd(), env: { TSBUILD_TEST_NETWORK: 'none' } },
    });
    const failed = stdout.match(/^ *not ok .*$/gm) ?? [];
    assert.deepEqual({ failed, code }, { failed: [], code: 0 }, stdout.slice(-10_000));
    const passed = stdout.match(/^ {4}ok .*$/gm)?.filter((line) => !line.includes('# SKIP')).length ?? 0;
    assert.ok(passed > 30, `${passed} cases`);
    t.diagnostic(`${passed} cases`);
  });
});

describe('an ordinary user', () => {
  it('gets the exit code of a build that fails', async () => {
    await using world = await makeUserWorld();
    const result = await world.tsbuild(['--network=none', world.context({ Dockerfile: 'FROM busybox\nRUN exit 7\n' })]);
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stderr, /ERR_TSBUILD_RUN_FAILED/);
  });

  it('hears which ids are lacking where a layer has more than the namespace', async () => {
    await using world = await makeUserWorld({ ranges: ['400000:1000'] });
    const context = world.context({ Dockerfile: 'FROM busybox\nADD tree.tar /\n' });
    execFileSync('sh', ['-euc', TREE.replaceAll('DIR', context)]);
    const { code, stderr } = await world.tsbuild(['--progress=plain', context]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /ERR_TSBUILD_PRIVILEGE: Cannot give .* to 4242:2424: this user namespace has the users 0, 1 to 1000 and groups 0, 1 to 1000 only/,
    );
    assert.match(stderr, /--add-subuids 100000-165535 --add-subgids 100000-165535/);
  });

  it('without subordinate ids runs steps as root, and as nobody else', async () => {
    await using world = await makeUserWorld({ ranges: [] });
    const context = world.context({
      Dockerfile: 'FROM busybox\nRUN echo "$(id -u) $(cat /proc/self/setgroups)" > /id\nRUN cat /id\n',
      User: 'FROM busybox\nUSER app\nRUN id\n',
    });
    const { code, stderr } = await world.tsbuild(['--progress=plain', '--network=none', context]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, / 0 deny\n/);
    const other = await world.tsbuild(['--network=none', '-f', path.join(context, 'User'), context]);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /ERR_TSBUILD_PRIVILEGE: Cannot give a process to 1000:1000/);
  });

  it('without subordinate ids keeps the owners that an image says, and warns of what steps cannot do', async () => {
    await using root = await makeWorld();
    await using user = await makeUserWorld({ ranges: [] });
    const script = TREE.replace(' && chown -h 7:8 DIR/t/link', '');
    const lines = [
      'ADD tree.tar /t',
      'COPY --chown=5:6 a /a',
      'COPY --from=busybox --chown=7 /etc /etc2',
      `RUN mkdir /t/sub/new; echo more >> /a; ${AGED}`,
    ];
    const layers = await Promise.all(
      [root, user].map(async (world) => {
        const context = world.context({ Dockerfile: `FROM busybox\n${lines.join('\n')}\n`, a: 'a' });
        execFileSync('sh', ['-euc', script.replaceAll('DIR', context)]);
        const { stderr, code } = await world.tsbuild(['--progress=plain', '--network=none', '-t', 'out', context]);
        assert.equal(code, 0, stderr);
        assert.equal(stderr.split('no subordinate ids').length - 1, world === user ? 1 : 0, stderr);
        return layersOf(await world.succeed(['inspect', 'out']));
      }),
    );
    assert.deepEqual(layers[1], layers[0]);
  });

  it('hears which setting forbids user namespaces', async () => {
    await using world = emptyUserWorld();
    // The limit of a namespace in which the same command has another user.
    const inside = 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --reuid=1000 --regid=1000 --clear-groups "$0" "$1" images';
    const { code, stderr } = await world.asUser(process.execPath, [BIN, 'unshare', 'sh', '-c', inside, process.execPath, BIN]);
    assert.notEqual(code, 0);
    assert.match(stderr, /ERR_TSBUILD_PRIVILEGE: .*clone3: ENOSPC.*\n.*sysctl user\.max_user_namespaces=/);
  });

  it('stops its build by a signal to the process that it started, and gives a command its exit code', async () => {
    await using world = await makeUserWorld();
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo started; sleep 600\n' });
    const script =
      '"$0" "$1" --network=none --progress=plain "$2" 2> "$3" & pid=$!; until grep -q started "$3"; do sleep 0.1; done; kill -TERM $pid; wait $pid';
    const log = path.join(path.dirname(world.root), 'log');
    const stopped = await world.asUser('timeout', ['60', 'sh', '-c', script, process.execPath, BIN, context, log]);
    assert.equal(stopped.code, 143, stopped.stderr);
    assert.equal((await world.tsbuild(['unshare', 'sh', '-c', 'exit 5'])).code, 5);
  });

  it('builds several images at once on one state directory', async () => {
    await using world = emptyUserWorld();
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const names = ['one', 'two', 'three'];
    await Promise.all(names.map(async (name) => await world.succeed(['-q', '-t', name, context])));
    const layers = await Promise.all(names.map(async (name) => layersOf(await world.succeed(['inspect', name])).join()));
    assert.equal(new Set(layers).size, 1);
  });
});
