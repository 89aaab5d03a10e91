import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

/** Builds and returns what `tsbuild inspect` says, parsed. */
async function inspect(
  name: string,
): Promise<{ config: { config: Record<string, unknown>; history: Record<string, unknown>[]; rootfs: { diff_ids: string[] } } }> {
  return JSON.parse(await world.succeed(['inspect', name]));
}

/** Builds, runs `command` in the image, and returns its output. */
async function buildAndRun(dockerfile: string, command: readonly string[], files: Record<string, string> = {}): Promise<string> {
  const context = world.context({ ...files, Dockerfile: dockerfile });
  const tag = `t${Math.random().toString(36).slice(2)}:1`;
  await world.succeed(['-t', tag, context]);
  return await world.succeed(['run', tag, ...command]);
}

describe('tsbuild build', () => {
  test('prints nothing but the digest on stdout', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo hello; echo oops >&2\n' });
    const result = await world.tsbuild(['-t', 'plain:1', context]);
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /^sha256:[a-f0-9]{64}\n$/);
    assert.match(result.stderr, /hello/);
    assert.match(result.stderr, /oops/);
  });

  test('RUN in shell and exec form writes files that later steps and the image have', async () => {
    const output = await buildAndRun('FROM busybox\nRUN echo one > /a && echo two > /b\nRUN ["/bin/sh", "-c", "cat /a /b > /c"]\n', [
      'cat',
      '/c',
    ]);
    assert.equal(output, 'one\ntwo');
  });

  test('ENV, ARG, WORKDIR, USER and SHELL reach the command', async () => {
    const dockerfile = [
      'ARG GREETING=outer',
      'FROM busybox',
      'ARG GREETING=inner',
      'ENV A=1 B="two words"',
      'WORKDIR /work/deep',
      'RUN mkdir -p /out && chown 1000:1000 /out',
      'USER app',
      'SHELL ["/bin/sh", "-eu", "-c"]',
      'RUN { echo "$GREETING $A $B"; pwd; id -u; id -g; id -G; echo $HOME; umask; } > /out/facts',
    ].join('\n');
    assert.equal(
      await buildAndRun(dockerfile, ['cat', '/out/facts']),
      'inner 1 two words\n/work/deep\n1000\n1000\n1000 10\n/home/app\n0022',
    );
  });

  test('--build-arg beats the default, and a RUN sees no other variable of the caller', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nARG X=default\nRUN env > /env\n' });
    await world.succeed(['-t', 'env:1', '--build-arg', 'X=given', context], { env: { CANARY: 'secret' } });
    const lines = (await world.succeed(['run', 'env:1', 'cat', '/env'])).split('\n').sort();
    assert.deepEqual(
      lines.filter((line) => !/^(SHLVL|PWD|_)=/.test(line)),
      ['HOME=/root', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'X=given'],
    );
  });

  test('COPY places files, directories, globs and links as the reference manual says', async () => {
    const dockerfile = [
      'FROM busybox',
      'WORKDIR /app',
      'COPY a.txt renamed.txt',
      'COPY a.txt b.txt ./',
      'COPY dir into',
      'COPY dir/ /abs/',
      'COPY *.md docs/',
      'COPY none[x] docs/',
      'COPY --chown=app:wheel --chmod=0640 a.txt /owned/',
      'RUN find /app /abs /owned | sort > /list && stat -c "%U:%G %a" /owned/a.txt /owned /app/a.txt >> /list',
    ].join('\n');
    const output = await buildAndRun(dockerfile, ['cat', '/list'], {
      'a.txt': 'a',
      'b.txt': 'b',
      'dir/x': 'x',
      'dir/sub/y': 'y',
      'r.md': 'r',
      'c.md': 'c',
    });
    assert.deepEqual(output.split('\n'), [
      ...['/abs', '/abs/sub', '/abs/sub/y', '/abs/x', '/app', '/app/a.txt', '/app/b.txt', '/app/docs', '/app/docs/c.md', '/app/docs/r.md'],
      ...['/app/into', '/app/into/sub', '/app/into/sub/y', '/app/into/x', '/app/renamed.txt', '/owned', '/owned/a.txt'],
      ...['app:wheel 640', 'app:wheel 640', 'root:root 644'],
    ]);
  });

  test('.dockerignore hides files from COPY and the error names its line', async () => {
    const context = world.context({
      Dockerfile: 'FROM busybox\nCOPY . /all\nRUN find /all | sort > /list\n',
      '.dockerignore': '*.log\nsecret\n!keep.log\n',
      'a.log': '',
      'keep.log': '',
      'secret/key': '',
      'b.txt': '',
    });
    await world.succeed(['-t', 'ignore:1', context]);
    assert.deepEqual((await world.succeed(['run', 'ignore:1', 'cat', '/list'])).split('\n'), [
      '/all',
      '/all/.dockerignore',
      '/all/Dockerfile',
      '/all/b.txt',
      '/all/keep.log',
    ]);
    const other = world.context({
      Dockerfile: 'FROM busybox\nCOPY secret/key /key\n',
      '.dockerignore': '# no\nsecret\n',
      'secret/key': '',
    });
    const failed = await world.tsbuild(['-t', 'ignore:2', other]);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /excluded by .dockerignore line 2/);
    assert.match(failed.stderr, /Dockerfile:2/);
  });

  test('COPY --from takes from a stage by name and index and from another image', async () => {
    const dockerfile = [
      'FROM busybox AS one',
      'RUN mkdir /d && echo 1 > /d/f && chown -R app:app /d && ln -s f /d/l',
      'FROM scratch AS two',
      'COPY --from=one /d /two/',
      'FROM busybox',
      'COPY --from=ONE /d/f /by-name',
      'COPY --from=1 /two /by-index',
      'COPY --from=busybox:latest /etc/group /group',
      'RUN stat -c "%n %U" /by-name /by-index/f > /list && readlink /by-index/l >> /list && grep -c wheel /group >> /list',
    ].join('\n');
    assert.equal(await buildAndRun(dockerfile, ['cat', '/list']), '/by-name app\n/by-index/f app\nf\n1');
  });

  test('the config holds what the metadata instructions say, with a history entry each', async () => {
    const dockerfile = [
      'FROM busybox',
      'LABEL a=b "c d"="e f"',
      'EXPOSE 80 53/udp',
      'VOLUME /data',
      'STOPSIGNAL SIGINT',
      'USER app',
      'ENTRYPOINT ["/bin/sh"]',
      'CMD echo $HOME',
      'WORKDIR /',
    ].join('\n');
    const context = world.context({ Dockerfile: dockerfile });
    await world.succeed(['-t', 'meta:1', context]);
    const { config } = await inspect('meta:1');
    assert.deepEqual(config.config, {
      ...config.config,
      Labels: { a: 'b', 'c d': 'e f' },
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      Volumes: { '/data': {} },
      StopSignal: 'SIGINT',
      User: 'app',
      Entrypoint: ['/bin/sh'],
      Cmd: ['/bin/sh', '-c', 'echo $HOME'],
      WorkingDir: '/',
    });
    assert.equal(config.history.length, 1 + 8);
    assert.equal(config.history.filter((entry) => entry['empty_layer'] !== true).length, config.rootfs.diff_ids.length);
  });

  test('a stage that the target does not need is neither run nor resolved', async () => {
    const context = world.context({
      Dockerfile: 'FROM no.such.registry.invalid/x AS unused\nRUN exit 1\nFROM busybox AS used\nRUN true\nFROM unused\n',
    });
    const result = await world.tsbuild(['--target', 'used', '-t', 'target:1', context]);
    assert.equal(result.code, 0, result.stderr);
    assert.doesNotMatch(result.stderr, /no\.such/);
  });

  test('independent stages run at the same time', async () => {
    const dockerfile = [
      'FROM busybox AS a',
      'RUN sleep 1.5',
      'FROM busybox AS b',
      'RUN sleep 1.5 ',
      'FROM busybox',
      'COPY --from=a /etc/passwd /a',
      'COPY --from=b /etc/passwd /b',
    ].join('\n');
    const started = performance.now();
    await world.succeed(['-t', 'parallel:1', world.context({ Dockerfile: dockerfile })]);
    assert.ok(performance.now() - started < 2900, 'two sleeps of 1.5 s overlapped');
  });

  test('mount stubs, /etc/hosts and /etc/resolv.conf leave no trace in a layer', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN cat /etc/hosts /etc/resolv.conf > /dev/null && touch /made\n' });
    await world.succeed(['-t', 'stubs:1', context]);
    const second = world.context({ Dockerfile: 'FROM scratch\nCOPY --from=stubs:1 / /\n' });
    await world.succeed(['-t', 'stubs:2', second]);
    const list = (await world.succeed(['run', 'stubs:2', 'sh', '-c', 'ls -a /; ls -a /etc'])).split('\n');
    assert.ok(list.includes('made'));
    const names = await layerNames('stubs:1');
    assert.deepEqual(names.at(-1), ['made']);
  });
});

/** Entry names of each layer of a stored image, by GNU tar. */
async function layerNames(name: string): Promise<string[][]> {
  const { execFileSync } = await import('node:child_process');
  const { manifest } = JSON.parse(await world.succeed(['inspect', name])) as { manifest: { layers: { digest: string }[] } };
  return manifest.layers.map(({ digest }) =>
    execFileSync('tar', ['-tzf', `${world.root}/blobs/sha256/${digest.slice(7)}`], { encoding: 'utf8', maxBuffer: 1 << 26 })
      .split('\n')
      .filter((entry) => entry !== ''),
  );
}

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
