/** `COPY --link`: a layer by itself, whose blob is the same on every base that has the same directories. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const FILES = { 'app/main': 'main', 'app/sub/x': 'x', 'etc/motd': 'hello' };

interface Built {
  readonly layers: readonly string[];
  /** Steps that made nothing. */
  readonly cached: number;
}

async function build(name: string, lines: readonly string[], context = world.context({ ...FILES })): Promise<Built> {
  writeFileSync(path.join(context, 'Dockerfile'), lines.join('\n'));
  const { code, stderr } = await world.tsbuild(['-t', name, '--progress', 'plain', context]);
  assert.equal(code, 0, stderr);
  const { manifest } = JSON.parse(await world.succeed(['inspect', name])) as { manifest: { layers: { digest: string }[] } };
  return { layers: manifest.layers.map(({ digest }) => digest), cached: stderr.match(/^#\d+ CACHED$/gm)?.length ?? 0 };
}

describe('COPY --link', () => {
  test('gives the same layers when the base changes, and copies nothing again', async () => {
    const copies = ['COPY --link app /opt/app/', 'COPY --link --chown=7:8 etc/motd /etc/'];
    const first = await build('l:1', ['FROM busybox', 'RUN echo 1 > /one', ...copies]);
    const second = await build('l:2', ['FROM busybox', 'RUN echo 2 > /two', 'RUN echo 3 > /three', ...copies]);
    assert.deepEqual(second.layers.slice(-2), first.layers.slice(-2));
    assert.equal(second.cached, 2);
    assert.equal((await build('l:2', ['FROM busybox', 'RUN echo 2 > /two', 'RUN echo 3 > /three', ...copies])).cached, 4);
  });

  test('never copies for another base, even where the files of that base are read afterwards', async () => {
    const copies = ['COPY --link app /opt/app/', 'RUN cat /opt/app/main /mark > /both'];
    await build('l:3', ['FROM busybox', 'RUN echo a > /mark', ...copies]);
    await build('l:4', ['FROM busybox', 'RUN echo b > /mark', ...copies]);
    assert.equal(await world.succeed(['run', 'l:4', 'cat', '/both']), 'mainb');
  });

  test('holds a file even where the base has the same one', async () => {
    const context = world.context({ f: 'same' });
    const first = await build('l:5', ['FROM busybox', 'COPY f /f', 'COPY --link f /f'], context);
    const second = await build('l:6', ['FROM busybox', 'RUN rm -rf /none', 'COPY --link f /f'], context);
    assert.equal(first.layers.at(-1), second.layers.at(-1));
    assert.equal(await world.succeed(['run', 'l:6', 'cat', '/f']), 'same');
  });

  test('leaves the directories of the base as they are', async () => {
    const prepare = 'RUN mkdir -m 1777 /box && chown 5:6 /box && ln -s box /link';
    await build('l:7', [
      'FROM busybox',
      prepare,
      'COPY --link etc /box/',
      'COPY --link app/main /link/sub/',
      'RUN stat -c "%a %u %g" /box > /mode',
    ]);
    assert.equal(await world.succeed(['run', 'l:7', 'cat', '/mode']), '1777 5 6');
    assert.equal(await world.succeed(['run', 'l:7', 'ls', '/box']), 'motd\nsub');
    assert.equal(await world.succeed(['run', 'l:7', 'readlink', '/link']), 'box');
  });

  test('makes another layer where the base lacks a directory, or the content changed', async () => {
    const context = world.context({ ...FILES });
    const first = await build('l:8', ['FROM busybox', 'COPY --link app /opt/app/'], context);
    const deeper = await build('l:9', ['FROM busybox', 'RUN mkdir -m 700 /opt', 'COPY --link app /opt/app/'], context);
    assert.notEqual(first.layers.at(-1), deeper.layers.at(-1));
    writeFileSync(path.join(context, 'app/main'), 'other');
    const changed = await build('l:10', ['FROM busybox', 'COPY --link app /opt/app/'], context);
    assert.notEqual(changed.layers.at(-1), first.layers.at(-1));
    assert.equal(changed.cached, 0);
  });

  test('copies from another stage and unpacks an archive of ADD', async () => {
    const lines = [
      'FROM busybox AS s',
      'RUN mkdir /s && echo s > /s/f',
      'FROM scratch',
      'COPY --from=s --link /s /s/',
      'ADD --link app/main /m',
    ];
    await build('l:11', [...lines, 'FROM busybox', 'COPY --from=1 / /all/']);
    assert.equal(await world.succeed(['run', 'l:11', 'cat', '/all/s/f', '/all/m']), 's\nmain');
  });

  test('refuses a destination below a file', async () => {
    const context = world.context({ ...FILES, Dockerfile: 'FROM busybox\nRUN echo > /file\nCOPY --link app /file/sub/\n' });
    const { code, stderr } = await world.tsbuild(['-t', 'l:12', context]);
    assert.notEqual(code, 0);
    assert.match(stderr, /ERR_TSBUILD_COPY_CONFLICT|Cannot make the directory \/file/);
  });
});
