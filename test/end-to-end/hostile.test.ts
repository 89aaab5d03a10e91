/** What strangers write, given to the whole tool: it ends soon, says why in one plain message, and this machine keeps its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { block, END } from '../layers/_archives.ts';
import { type HostileRegistry, startHostileRegistry } from './_hostile-registry.ts';
import { type CommandResult, makeWorld, type World } from './_world.ts';

let world: World;
let registry: HostileRegistry;
const CANARY = 'canary-7f3a-of-this-machine';

before(async () => {
  world = await makeWorld();
  registry = await startHostileRegistry(path.join(world.directory, 'busybox.tar'));
  writeFileSync(path.join(world.directory, 'canary'), `${CANARY}\n`);
});
after(async () => {
  await registry[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** No bug of ours, nothing of this machine, nothing that drives a terminal. */
function tame(result: CommandResult): CommandResult {
  const all = result.stderr + result.stdout;
  assert.notEqual(result.code, 70, all);
  assert.ok(!all.includes(CANARY), all);
  assert.doesNotMatch(all, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  return result;
}

async function build(dockerfile: string | Buffer, args: readonly string[] = []): Promise<CommandResult> {
  return tame(await world.tsbuild([...args, world.context({ Dockerfile: dockerfile })]));
}

async function refused(dockerfile: string | Buffer, reason: RegExp, args: readonly string[] = []): Promise<void> {
  const result = await build(dockerfile, args);
  assert.equal(result.code, 1, result.stderr);
  assert.match(result.stderr, reason);
}

describe('hostile Dockerfiles', () => {
  test('a NUL byte in a command or an environment ends with the line', async () => {
    await refused('FROM busybox\nRUN echo \0x\n', /RUN_NOT_STARTED.*an argument holds a NUL byte/);
    await refused('FROM busybox\nRUN ["/bin/echo", "a\\u0000b"]\n', /RUN_NOT_STARTED.*an argument holds a NUL byte/);
    await refused('FROM busybox\nENV A=a\0b\nRUN env\n', /RUN_NOT_STARTED.*an environment variable holds a NUL byte/);
    await refused('FROM busybox\nWORKDIR /a\0b\n', /NUL byte/);
    await refused('FROM busybox\nCOPY a\0b /c\n', /NUL byte/);
  });

  test('ids beyond 2^31 - 1 are no ids, and digits are never a name', async () => {
    for (const user of ['2147483648', '4294967296', '1000:4294967296', '18446744073709551616'])
      await refused(`FROM busybox\nUSER ${user}\nRUN id\n`, /USER_NOT_FOUND.*the largest is 2147483647/);
    await refused('FROM busybox\nRUN echo "4294967296:x:0:0::/:/bin/sh" >> /etc/passwd\nUSER 4294967296\nRUN id\n', /USER_NOT_FOUND/);
    for (const user of ['0x0', '+0', '-1', '1e3', '٠'])
      await refused(`FROM busybox\nUSER ${user}\nRUN id\n`, /USER_NOT_FOUND.*not in \/etc\/passwd/);
  });

  test('N8 names of Object.prototype are names like any other', async () => {
    const dockerfile = `ARG __proto__=a\nFROM busybox AS constructor\nARG __proto__\nARG toString=z
ENV hasOwnProperty=1 valueOf=y\nLABEL __proto__=x toString=z
RUN test "$__proto__ $toString $hasOwnProperty $valueOf" = "given z 1 y"
FROM constructor\nCOPY --from=constructor /etc/passwd /copy\n`;
    const args = ['-t', 'constructor:toString', '--build-arg', '__proto__=given', '--label', 'constructor=l'];
    assert.equal((await build(dockerfile, args)).code, 0);
    const { stdout } = tame(await world.tsbuild(['inspect', 'constructor:toString']));
    assert.match(stdout, /"Labels": \{\s+"__proto__": "x",\s+"constructor": "l",\s+"toString": "z"\s+\}/);
    await refused('FROM busybox\nCOPY --from=__proto__ /etc /\n', /REFERENCE_INVALID/);
  });

  test('G10 control characters are shown in words or not at all', async () => {
    const evil = '\u001b[2J\u009b2J\u001b]0;title\u0007\u202e';
    for (const dockerfile of [
      `FROM bus${evil}ybox\n`,
      `FROM busybox\nFOO${evil} x\n`,
      `FROM busybox AS a${evil}\n`,
      `FROM busybox\nUSER a${evil}\nRUN id\n`,
      `FROM busybox\nRUN ["a${JSON.stringify(evil).slice(1, -1)}"]\n`,
      `FROM busybox\nCOPY a${evil.replace('[', '')}b /x\n`,
      `FROM busybox\nWORKDIR /a${evil}\nRUN pwd; printf '\\033[2J\\033]0;t\\007\\302\\233x'; false\n`,
    ]) {
      for (const progress of ['plain', 'json']) assert.equal((await build(dockerfile, ['--progress', progress])).code, 1);
    }
    assert.equal((await build(`FROM busybox\nLABEL a="${evil}"\n`, ['-t', 'evil:1'])).code, 0);
    const { stdout } = tame(await world.tsbuild(['inspect', 'evil:1']));
    assert.equal(JSON.parse(stdout).config.config.Labels.a, evil);
  });

  test('a path that is too long to be one is refused at once', async () => {
    const started = performance.now();
    await refused(`FROM busybox\nWORKDIR ${'/a'.repeat(5000)}\n`, /ENAMETOOLONG/);
    await refused(`FROM busybox\nWORKDIR /${'a'.repeat(256)}\n`, /ENAMETOOLONG/);
    await refused(`FROM busybox\nCOPY Dockerfile ${'/a'.repeat(5000)}/\n`, /ENAMETOOLONG/);
    assert.ok(performance.now() - started < 10_000);
  });

  test('a command longer than the kernel takes says so', async () => {
    await refused(
      `FROM busybox\nRUN <<END\n${`: ${'x'.repeat(50_000)}\n`.repeat(4)}END\n`,
      /RUN_NOT_STARTED.*longer than the kernel takes/,
    );
  });

  test('bad names and hosts are refused before anything runs', async () => {
    for (const tag of ['UPPER', 'a b', '__proto__', `busybox@sha256:${'0'.repeat(64)}`]) {
      const { code, stderr } = await build('FROM busybox\nRUN echo it ran\n', ['-t', tag]);
      assert.equal(code, 1);
      assert.match(stderr, /REFERENCE_INVALID/);
      assert.doesNotMatch(stderr, /RUN echo/);
    }
    for (const host of ['a', 'a:b', 'a:1.2.3.4\n', 'x y:1.2.3.4', 'a:999.1.1.1']) {
      const { code, stderr } = await build('FROM busybox\nRUN echo it ran\n', ['--add-host', host]);
      assert.equal(code, 2);
      assert.match(stderr, /--add-host/);
      assert.doesNotMatch(stderr, /RUN echo/);
    }
  });
});

describe('hostile contexts', () => {
  test('no link of a context leads to a file of this machine', async () => {
    const files = { Dockerfile: '', '.dockerignore': 'nothing' };
    const context = world.context(files);
    const canary = path.join(world.directory, 'canary');
    symlinkSync(canary, path.join(context, 'absolute'));
    symlinkSync('../canary', path.join(context, 'relative'));
    symlinkSync(world.directory, path.join(context, 'directory'));
    symlinkSync(`/proc/self/root${canary}`, path.join(context, 'magic'));
    for (const source of ['absolute', 'relative', 'directory/canary', 'magic', '../canary', 'directory/can*', '.', canary, 'directory']) {
      writeFileSync(path.join(context, 'Dockerfile'), `FROM busybox\nCOPY ${source} /x\nRUN cat /x /x/* 2>&1 || true\n`);
      tame(await world.tsbuild([context]));
    }
    for (const name of ['Dockerfile', '.dockerignore']) {
      writeFileSync(path.join(context, 'Dockerfile'), 'FROM busybox\nCOPY . /x\n');
      rmSync(path.join(context, name));
      symlinkSync(canary, path.join(context, name));
      for (const args of [[], ['-f', path.join(context, 'Dockerfile')]]) {
        const result = tame(await world.tsbuild([...args, context]));
        assert.equal(result.code, 1);
        assert.match(result.stderr, /leads out of the build context/);
      }
      rmSync(path.join(context, name));
    }
  });

  test('what is no file does not hang a build', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY . /x\nRUN ls -l /x\n' });
    execFileSync('mkfifo', [path.join(context, 'fifo')]);
    execFileSync('mknod', [path.join(context, 'zero'), 'c', '1', '5']);
    const { code, stderr } = tame(await world.tsbuild([context]));
    assert.equal(code, 0, stderr);
    for (const name of ['.dockerignore', 'Dockerfile']) {
      const file = path.join(context, name);
      for (const make of [() => execFileSync('mkfifo', [file]), () => mkdirSync(file), () => bigFile(file)]) {
        rmSync(file, { recursive: true, force: true });
        make();
        assert.equal(tame(await world.tsbuild([context])).code, 1);
      }
      rmSync(file, { recursive: true, force: true });
    }
  });

  test('X30 file names are bytes', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY . /x\nRUN ls -1 /x | wc -l; ls -1 /x\n' });
    for (const name of ['a\nb', '\x1b[2J', '\xff\xfe', '\xc2\x9b2J', '-rf', '*', '\\'])
      writeFileSync(Buffer.from(`${context}/${name}`, 'latin1'), '');
    const { code, stderr } = tame(await world.tsbuild([context]));
    assert.equal(code, 0, stderr);
    assert.match(stderr, / 8\n/);
  });
});

function bigFile(file: string): void {
  writeFileSync(file, '');
  truncateSync(file, 3 * 2 ** 30);
}

describe('hostile images', () => {
  async function run(changes: object, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    const name = registry.image(`n${++images}`, changes);
    return tame(await world.tsbuild(['run', '--network', 'none', name, ...args], { env }));
  }
  let images = 0;

  test('an environment entry without a value takes none of the caller', async () => {
    const Env = ['CANARY', '*', '', '=x', 'HOME', 'A=B=C', '__proto__=1', 'PATH=/bin'];
    const { code, stdout } = await run({ config: { Env } }, ['env'], { CANARY });
    assert.equal(code, 0);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['A=B=C', 'HOME=/root', 'PATH=/bin', '__proto__=1']);
  });

  test('G7 working directories are cleaned and made inside the root', async () => {
    const outside = path.join(world.directory, 'made');
    for (const [WorkingDir, expected] of [
      [`/../../..${outside}`, outside],
      ['a/../../b', '/b'],
      ['', '/'],
    ] as const) {
      const { code, stdout, stderr } = await run({ config: { WorkingDir } }, ['/bin/pwd']);
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trim(), expected);
      const name = registry.image(`w${++images}`, { config: { WorkingDir, Env: ['PATH=/bin'] } });
      await build(`FROM ${name}\nRUN test "$(pwd)" = "${expected}"\nWORKDIR x\nCOPY Dockerfile y\n`);
    }
    assert.ok(!existsSync(outside));
    for (const WorkingDir of ['/a\0b', '/proc/self/fd/8', '/a'.repeat(5000), `/${'a'.repeat(300)}`])
      assert.equal((await run({ config: { WorkingDir } }, ['/bin/pwd'])).code, 1);
  });

  test('users, commands and sets of any shape end with a message', async () => {
    for (const User of ['4294967296', 'root:4294967296', '\u001b[2J']) assert.equal((await run({ config: { User } }, ['id'])).code, 1);
    // As with docker: 127 is a command that is not there, 126 one that cannot be executed.
    for (const Cmd of [['a\0b'], [''], ['/bin/echo', 'x'.repeat(3 << 20)]]) assert.equal((await run({ config: { Cmd } })).code, 126);
    assert.equal((await run({ config: { Cmd: ['\u001b[2J'] } })).code, 127);
    const evil = '\u001b[2J\u009b2J';
    const config = { Volumes: { '/../../etc': {}, [evil]: {} }, ExposedPorts: { [evil]: {} }, StopSignal: evil, Labels: { [evil]: evil } };
    assert.equal((await run({ config: { ...config, Env: ['PATH=/bin'] }, author: evil, created: evil }, ['true'])).code, 0);
    for (const broken of [
      { config: [] },
      { config: 'x' },
      { config: { Env: { a: 1 } } },
      { history: [5] },
      { os: evil },
      { architecture: evil },
    ])
      assert.equal((await run(broken, ['true'])).code, 1);
  });

  test('layers that are not what the config says are not used', async () => {
    for (const digest of [`sha256:${'0'.repeat(64)}`, 'sha256:../../x', '', 'md5:00'])
      assert.equal((await run({ rootfs: { type: 'layers', diff_ids: [digest] } }, ['true'])).code, 1);
    assert.equal((await run({ rootfs: { type: 'layers', diff_ids: [] } }, ['true'])).code, 1);
  });

  test('a layer that is a bomb stops at the limit, as a base image and as an archive to ADD, and leaves nothing', async () => {
    const bomb = gzipSync(Buffer.concat([block({ name: 'big', size: '02000000000' }), Buffer.alloc(256 << 20, 'a'), END]), { level: 1 });
    const archive = path.join(world.directory, 'bomb.tar.gz');
    writeFileSync(archive, bomb);
    const env = { TSBUILD_MAX_LAYER_SIZE: '64m' };
    const used = () => Number(execFileSync('du', ['-sk', world.root], { encoding: 'utf8' }).split('\t')[0]);
    const before = used();
    const context = world.context({ Dockerfile: 'FROM busybox\nADD bomb.tar.gz /\n', 'bomb.tar.gz': bomb });
    for (const args of [['import', archive, 'bomb:1'], [context]]) {
      const result = tame(await world.tsbuild(args, { env }));
      assert.equal(result.code, 1, result.stderr);
      assert.match(result.stderr, /_INVALID.*larger than 67108864 bytes when decompressed/);
    }
    const wrong = await world.tsbuild(['import', archive, 'bomb:1'], { env: { TSBUILD_MAX_LAYER_SIZE: 'much' } });
    assert.match(wrong.stderr, /USAGE.*TSBUILD_MAX_LAYER_SIZE/);
    // What a failed command leaves goes with the next one.
    await world.succeed(['images']);
    assert.ok(used() - before < 4096, `${used() - before} KiB more`);
  });

  test('G9 ONBUILD triggers of a base that are none end with the reason, and COPY --from does not run them', async () => {
    const name = registry.image('onbuild', { config: { OnBuild: ['ONBUILD RUN echo \u001b[2J'], Env: ['PATH=/bin'] } });
    await refused(`FROM ${name}\n`, /DOCKERFILE_SYNTAX.*trigger.*ONBUILD cannot be a trigger/);
    const { code, stderr } = await build(`FROM busybox\nCOPY --from=${name} /etc/passwd /x\n`);
    assert.equal(code, 0, stderr);
  });

  test('what a registry says is shown without its escape sequences', async () => {
    const name = registry.image('here', {}).replace(':here', ':nowhere');
    const { code, stderr } = tame(await world.tsbuild(['pull', name]));
    assert.equal(code, 1);
    assert.match(stderr, /REGISTRY_NOT_FOUND|IMAGE_NOT_FOUND/);
  });
});
