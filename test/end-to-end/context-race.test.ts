import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { build, importImage, runImage, TsbuildError } from '../../src/index.ts';
import { emptyWorld, makeBusyboxRootfs } from './_world.ts';

test('a context that is written to while it is copied ends with CONTEXT_CHANGED, or whole, and never as a mixture that the cache keeps', async () => {
  await using world = emptyWorld();
  const { root } = world;
  const rootfs = path.join(world.directory, 'busybox.tar');
  makeBusyboxRootfs(rootfs);
  await importImage({ root, input: rootfs, name: 'busybox' });
  const files = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`f${i}`, 'x'.repeat(100)]));
  const context = world.context({ ...files, Dockerfile: 'FROM busybox\nCOPY . /all\n' });
  const outcomes: string[] = [];
  for (let round = 0; round < 5; round++) {
    const writing = setInterval(
      () => writeFileSync(path.join(context, `f${Math.floor(Math.random() * 1500)}`), String(Math.random()).padEnd(100, 'y')),
      3,
    );
    const outcome = await build({ root, context }).then(
      () => 'done',
      (error: unknown) => (error instanceof TsbuildError ? error.code : String(error)),
    );
    clearInterval(writing);
    outcomes.push(outcome);
  }
  assert.ok(outcomes.includes('ERR_TSBUILD_CONTEXT_CHANGED'), outcomes.join());
  assert.deepEqual(
    outcomes.filter((outcome) => outcome !== 'done' && outcome !== 'ERR_TSBUILD_CONTEXT_CHANGED'),
    [],
  );

  await build({ root, context, tags: ['quiet:1'] });
  let copied = '';
  await runImage({
    root,
    name: 'quiet:1',
    argv: ['sh', '-c', 'cd /all; cat $(ls)'],
    onOutput: (_, data) => (copied += Buffer.from(data).toString()),
  });
  const names = [...Object.keys(files), 'Dockerfile'].sort();
  assert.equal(copied, names.map((name) => readFileSync(path.join(context, name), 'utf8')).join(''));
});
