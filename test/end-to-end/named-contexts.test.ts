import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

async function buildAndRun(files: Record<string, string>, flags: readonly string[], script: string): Promise<string> {
  await world.succeed(['-t', 'named:1', ...flags, world.context(files)]);
  return await world.succeed(['run', 'named:1', 'sh', '-c', script]);
}

/** An OCI layout of busybox, called `latest`. */
async function layout(): Promise<string> {
  const directory = world.context({});
  await world.succeed(['save', '-o', path.join(directory, 'image.tar'), 'busybox:latest']);
  execFileSync('tar', ['-xf', 'image.tar'], { cwd: directory });
  return directory;
}

describe('--build-context of a directory', () => {
  test('is read by COPY --from, with an ignore file of its own', async () => {
    const lib = world.context({ one: '1', two: '2', '.dockerignore': 'two' });
    const text = 'FROM busybox\nCOPY --from=lib / /lib/\n';
    assert.equal(
      await buildAndRun({ Dockerfile: text, '.dockerignore': 'one' }, ['--build-context', `lib=${lib}`], 'cat /lib/one; ls /lib'),
      '1one',
    );
    const failed = await world.tsbuild([
      '--build-context',
      `lib=${lib}`,
      world.context({ Dockerfile: 'FROM busybox\nCOPY --from=lib two /\n' }),
    ]);
    assert.match(failed.stderr, /excluded by .dockerignore line 1/);
  });

  test('wins over an image in FROM, in every form of its name', async () => {
    const base = world.context({ 'etc/x': 'base' });
    for (const name of ['base', 'base:latest', 'docker.io/library/base:latest']) {
      const context = world.context({ Dockerfile: 'FROM base\nCOPY f /f\n', f: 'f' });
      const flags = ['-t', 'from:1', '--build-context', `${name}=${base}`];
      await world.succeed([...flags, context]);
      const { config } = JSON.parse(await world.succeed(['inspect', 'from:1'])) as {
        config: { config: unknown; history: unknown[]; rootfs: { diff_ids: [] } };
      };
      assert.deepEqual(config.config, { WorkingDir: '/', Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] });
      assert.equal(config.rootfs.diff_ids.length, 2);
      assert.equal(config.history.length, 2);
    }
  });

  test('takes the place of a stage, whose instructions do not run', async () => {
    const lib = world.context({ made: 'elsewhere' });
    const Dockerfile = 'FROM busybox AS lib\nRUN false\nFROM busybox\nCOPY --from=lib made /\nCOPY --from=0 made /two\n';
    assert.equal(await buildAndRun({ Dockerfile }, ['--build-context', `lib=${lib}`], 'cat /made /two'), 'elsewhereelsewhere');
  });

  test('does not take the place of scratch', async () => {
    const other = world.context({ x: 'x' });
    await world.succeed([
      '-t',
      'scratch:1',
      '--build-context',
      `scratch=${other}`,
      world.context({ Dockerfile: 'FROM scratch\nCOPY f /\n', f: 'f' }),
    ]);
    const { config } = JSON.parse(await world.succeed(['inspect', 'scratch:1'])) as { config: { rootfs: { diff_ids: [] } } };
    assert.equal(config.rootfs.diff_ids.length, 1);
  });

  test('is a cache hit until a file that is copied changes', async () => {
    const lib = world.context({ one: '1', two: '2' });
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY --from=lib one /\n' });
    const build = async () => await world.tsbuild(['--progress', 'plain', '--build-context', `lib=${lib}`, context]);
    await build();
    writeFileSync(path.join(lib, 'two'), 'changed');
    assert.match((await build()).stderr, /CACHED/);
    writeFileSync(path.join(lib, 'one'), 'changed');
    assert.doesNotMatch((await build()).stderr, /CACHED/);
  });
});

test('--build-context docker-image:// stands for a stage, a base and a source', async () => {
  const Dockerfile = 'FROM nowhere.invalid/x AS a\nRUN echo ran > /ran\nFROM a\nCOPY --from=other /etc/passwd /copied\n';
  const flags = ['--build-context', 'nowhere.invalid/x=docker-image://busybox', '--build-context', 'other=docker-image://busybox:latest'];
  assert.equal(await buildAndRun({ Dockerfile }, flags, 'cat /ran; head -n1 /copied'), 'ran\nroot:x:0:0:root:/root:/bin/sh');
});

describe('--build-context oci-layout://', () => {
  test('is a base by name, by tag and by digest', async () => {
    const directory = await layout();
    const index = JSON.parse(execFileSync('cat', [path.join(directory, 'index.json')], { encoding: 'utf8' })) as {
      manifests: [{ digest: string }];
    };
    for (const selector of ['', `@${index.manifests[0].digest}`]) {
      const flags = ['--build-context', `base=oci-layout://${directory}${selector}`];
      assert.equal(await buildAndRun({ Dockerfile: 'FROM base\nRUN echo x > /x\n' }, flags, 'cat /x'), 'x');
    }
  });

  test('with a changed blob, a link for a blob or a tag that is not there is refused', async () => {
    const build = async (directory: string, selector = '') =>
      await world.tsbuild([
        '--root',
        path.join(directory, 'state'),
        '--build-context',
        `base=oci-layout://${directory}${selector}`,
        context,
      ]);
    const context = world.context({ Dockerfile: 'FROM base\nRUN true\n' });
    const missing = await build(await layout(), ':other');
    assert.match(missing.stderr, /Cannot find other in the OCI layout/);
    const changed = await layout();
    const blobs = path.join(changed, 'blobs/sha256');
    for (const name of readdirSync(blobs)) writeFileSync(path.join(blobs, name), 'x', { flag: 'a' });
    assert.match((await build(changed)).stderr, /DIGEST_MISMATCH/);
    const linked = await layout();
    for (const name of readdirSync(path.join(linked, 'blobs/sha256'))) {
      const blob = path.join(linked, 'blobs/sha256', name);
      execFileSync('mv', [blob, `${blob}.real`]);
      symlinkSync(`${blob}.real`, blob);
    }
    assert.match((await build(linked)).stderr, /IMAGE_INVALID/);
  });
});

test('--build-context with a bad name, a bad kind or no value is refused', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\n' });
  for (const [value, expected] of [
    ['Name=/tmp', /lower-case/],
    ['name=file:///etc', /kind file:\/\//],
    ['name=-', /standard input/],
    ['name', /not KEY=VALUE/],
    ['name=docker-image://UPPER', /lower-case/],
  ] as const) {
    const result = await world.tsbuild(['--build-context', value, context]);
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, expected);
  }
});

test('RUN --mount=from reads a named context', async () => {
  const lib = world.context({ tool: 'of the context' });
  const Dockerfile = 'FROM busybox\nRUN --mount=type=bind,from=lib,target=/mnt cat /mnt/tool > /copied\n';
  assert.equal(
    await buildAndRun({ Dockerfile }, ['--build-context', `lib=${lib}`], 'cat /copied; ls /mnt 2>&1 || true'),
    'of the contextls: /mnt: No such file or directory',
  );
});
