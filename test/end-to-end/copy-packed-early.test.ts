/** A COPY that no RUN waits for packs its layer while it writes the files. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BuildEvent, build } from '../../src/index.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const FILES = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`src/f${i}`, `${i} `.repeat(4000)]));

/** Steps and packed layers in the order in which they began to be told. */
async function told(lines: readonly string[], files: Readonly<Record<string, string>> = FILES): Promise<string[]> {
  const seen: string[] = [];
  const onEvent = (event: BuildEvent) => {
    if (event.kind === 'step-end') seen.push(event.step.text.split(' ')[0] ?? '');
    if (event.kind === 'transfer' && event.action === 'pack') seen.push('packing');
  };
  const context = world.context({ ...files, Dockerfile: lines.join('\n') });
  await build({ root: world.root, context, onEvent, tags: ['early:1'] });
  return seen.filter((name, at) => name !== 'FROM' && name !== seen[at - 1]);
}

async function layers(): Promise<string[]> {
  const { manifest } = JSON.parse(await world.succeed(['inspect', 'early:1'])) as { manifest: { layers: { digest: string }[] } };
  return manifest.layers.map(({ digest }) => digest);
}

describe('a COPY that no RUN waits for', () => {
  test('packs while it writes, and others after they have', async () => {
    assert.deepEqual(await told(['FROM busybox', 'COPY src /app']), ['packing', 'COPY', 'packing']);
    assert.deepEqual(await told(['FROM busybox', 'COPY src /app', 'RUN true']).then((seen) => seen[0]), 'COPY');
  });

  test('has the layer that its snapshot gives when the blob is gone', async () => {
    for (const copy of ['COPY src /app', 'COPY --link --chown=1:2 src /other/', 'ADD --chmod=600 src/f1 src/f2 /some/']) {
      await told(['FROM busybox', 'RUN mkdir -p /other /some', copy]);
      const early = await layers();
      rmSync(path.join(world.root, 'blobs/sha256', String(early.at(-1)).slice('sha256:'.length)));
      const [first] = await told(['FROM busybox', 'RUN mkdir -p /other /some', copy]);
      assert.ok(first !== undefined);
      assert.deepEqual(await layers(), early, copy);
    }
  });

  test('leaves nothing of a layer whose files changed while they were copied', async () => {
    const context = world.context({ ...FILES, Dockerfile: 'FROM busybox\nCOPY src /changed' });
    const blobs = () => readdirSync(path.join(world.root, 'blobs/sha256'));
    const before = blobs();
    let isPacking = false;
    const onEvent = (event: BuildEvent) => {
      if (event.kind !== 'transfer' || event.action !== 'pack' || isPacking) return;
      isPacking = true;
      writeFileSync(path.join(context, 'src/f0'), 'changed');
    };
    await assert.rejects(build({ root: world.root, context, onEvent }), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
    assert.ok(isPacking);
    assert.deepEqual(blobs(), before);
    assert.deepEqual(readdirSync(path.join(world.root, 'ingest')), []);
  });
});
