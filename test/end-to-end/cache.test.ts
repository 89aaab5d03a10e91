import assert from 'node:assert/strict';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const DOCKERFILE = [
  'FROM busybox AS tools',
  'RUN echo tool > /tool',
  'FROM busybox',
  'COPY lib /lib-copy',
  'RUN echo built > /built',
  'COPY app /app',
  'RUN cat /app/main > /main',
  'COPY --from=tools /tool /tool',
].join('\n');

function outcomes(stderr: string): Record<string, number> {
  const count = (pattern: RegExp) => stderr.match(pattern)?.length ?? 0;
  return { cached: count(/^#\d+ CACHED$/gm), done: count(/^#\d+ DONE/gm) };
}

describe('the cache', () => {
  test('a second build runs no step and gives the same digest', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, 'lib/a': 'a', 'app/main': 'm' });
    const first = await world.succeed(['-t', 'c:1', context]);
    const second = await world.tsbuild(['-t', 'c:1', '--progress', 'plain', context]);
    assert.equal(second.stdout.trim(), first);
    assert.equal(outcomes(second.stderr)['cached'], 6, second.stderr);
  });

  test('touching a file hits, changing one re-runs only what depends on it', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, 'lib/a': 'a2', 'app/main': 'm2' });
    await world.succeed(['-t', 'c:2', context]);
    utimesSync(path.join(context, 'lib/a'), 1, 1);
    const touched = await world.tsbuild(['-t', 'c:2', '--progress', 'plain', context]);
    assert.equal(outcomes(touched.stderr)['cached'], 6, touched.stderr);
    writeFileSync(path.join(context, 'app/main'), 'changed');
    const changed = await world.tsbuild(['-t', 'c:2', '--progress', 'plain', context]);
    assert.equal(changed.code, 0, changed.stderr);
    assert.equal(outcomes(changed.stderr)['cached'], 3, changed.stderr);
    assert.equal(await world.succeed(['run', 'c:2', 'cat', '/main']), 'changed');
  });

  test('--no-cache runs every step again', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN head -c8 /dev/urandom > /random\n' });
    const first = await world.succeed(['-t', 'n:1', context]);
    const second = await world.succeed(['-t', 'n:1', '--no-cache', context]);
    const third = await world.succeed(['-t', 'n:1', context]);
    assert.notEqual(first, second);
    assert.equal(second, third, 'the newest result is what the cache has');
  });

  test('a step that ran again is never joined with what was built on its earlier result', async () => {
    const first = 'FROM busybox\nRUN head -c8 /dev/urandom > /random\n';
    const whole = world.context({ Dockerfile: `${first}COPY f /f\nRUN cp /random /copy\n`, f: '' });
    await world.succeed(['-t', 'j:1', whole]);
    await world.succeed(['-t', 'j:2', '--no-cache', world.context({ Dockerfile: first })]);
    await world.succeed(['-t', 'j:3', whole]);
    assert.equal(await world.succeed(['run', 'j:3', 'cmp', '/random', '/copy']), '');
  });

  test('a stage that ran again with the same output lets COPY --from hit, with and without --link; another output does not', async () => {
    const build = async (tag: string, how: string) => {
      const Dockerfile = [
        'FROM busybox AS tools',
        `RUN : ${how}; mkdir -p /out/d; echo tool > /out/tool; [ ${how} != other ] || echo more >> /out/tool; date +%N > /time`,
        'FROM busybox',
        'COPY --from=tools /out /copied/',
        'COPY --from=tools --link /out /linked/',
        'RUN head -c8 /dev/urandom > /random',
      ].join('\n');
      const built = await world.tsbuild(['-t', tag, '--progress', 'plain', world.context({ Dockerfile })]);
      assert.equal(built.code, 0, built.stderr);
      const { cached = 0, done = 0 } = outcomes(built.stderr);
      return { digest: built.stdout.trim(), cached, done };
    };
    const first = await build('content:1', 'once');
    const again = await build('content:1', 'twice');
    assert.deepEqual([again.digest, again.cached], [first.digest, 3]);
    assert.deepEqual(await build('content:1', 'twice'), { ...again, cached: 4, done: again.done - 1 });
    const other = await build('content:1', 'other');
    assert.deepEqual([other.cached, other.digest === first.digest], [0, false]);
    assert.equal(await world.succeed(['run', 'content:1', 'cat', '/copied/tool', '/linked/tool']), 'tool\nmore\ntool\nmore');
  });

  test('clean stores give the same layer digests for COPY and WORKDIR steps', async () => {
    const context = world.context({
      Dockerfile: 'FROM scratch\nWORKDIR /w\nCOPY lib deep/er/\nCOPY lib/a /x/y/z\n',
      'lib/a': 'a',
      'lib/b/c': 'c',
    });
    const layersIn = async (root: string) => {
      await world.succeed(['-t', 'r:1', context], { root });
      const { manifest } = JSON.parse(await world.succeed(['inspect', 'r:1'], { root })) as { manifest: { layers: unknown[] } };
      return manifest.layers;
    };
    const first = await layersIn(path.join(world.directory, 'clean-1'));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.deepEqual(await layersIn(path.join(world.directory, 'clean-2')), first);
    assert.equal(first.length, 3);
  });

  test('a failed build names nothing and leaves no snapshot that has no name', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo keep > /keep\nRUN exit 3\n' });
    const failed = await world.tsbuild(['-t', 'f:1', context]);
    assert.equal(failed.code, 1);
    assert.equal((await world.tsbuild(['inspect', 'f:1'])).code, 1);
    await world.succeed(['images']);
    const named = readdirSync(path.join(world.root, 'snapshots/names')).length;
    assert.equal(readdirSync(path.join(world.root, 'snapshots/d')).length, named);
  });
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
