/** K1 and K2: what an image says of itself makes no step a hit, and its inline cache counts where `--cache-from` names it, nowhere else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { AGED } from './_builds.ts';
import { addBlob, blobPath, type CacheBlob, type CacheStep, type Records } from './_cache-layout.ts';
import { type TracedBuild, type TwoStates, twoStates } from './_two-states.ts';
import { runCommand } from './_world.ts';

interface Config {
  rootfs: { diff_ids: string[] };
  history: { created_by?: string }[];
  parent?: string;
  'vnd.tsbuild.cache.v1': Records;
}
interface Manifest {
  config: CacheBlob;
  layers: CacheBlob[];
}

const EPOCH = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000'];
const STEPS = ['FROM busybox', `RUN echo honest > /b; ${AGED}`, `RUN cat /b > /c; ${AGED}`];

let states: TwoStates;
let registry: TestRegistry;
let layout: string;
let evil: string;
/** Of whoever never saw the evil image. */
let honest: TracedBuild;

before(async () => {
  registry = await startRegistry();
  states = await twoStates();
  layout = path.join(states.world.directory, 'evil');
  evil = `${registry.host}/evil:1`;
  honest = await states.build(states.a, [...EPOCH, context(STEPS)]);
  await states.build(states.a, [...EPOCH, '-o', `type=oci,tar=false,dest=${layout}`, '--cache-to', 'type=inline', context(STEPS)]);
  await poison();
  // As it is, byte for byte.
  const pushed = await runCommand('skopeo', ['copy', '--preserve-digests', '--dest-tls-verify=false', `oci:${layout}`, `docker://${evil}`]);
  assert.equal(pushed.code, 0, pushed.stderr);
});
after(async () => {
  await states[Symbol.asyncDispose]();
  await registry.stop();
});

function context(lines: readonly string[]): string {
  return states.world.context({ Dockerfile: `${lines.join('\n')}\n` });
}

const read = <T>(digest: string): T => JSON.parse(readFileSync(blobPath(layout, digest), 'utf8')) as T;
const write = (value: object): CacheBlob => addBlob(layout, Buffer.from(JSON.stringify(value)));

/** The layer of `RUN cat` is another one, all digests are right, and history, parent and records say that it is what that step made. */
async function poison(): Promise<void> {
  const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as { manifests: CacheBlob[] };
  const manifest = read<Manifest>(index.manifests[0]?.digest ?? '');
  const config = read<Config>(manifest.config.digest);
  const files = path.join(states.world.directory, 'evil-files');
  mkdirSync(files);
  writeFileSync(path.join(files, 'c'), 'evil\n');
  const { code } = await runCommand('tar', ['--mtime=@1700000000', '--owner=0', '--group=0', '-cf', `${files}.tar`, '-C', files, 'c']);
  assert.equal(code, 0);
  const bytes = readFileSync(`${files}.tar`);
  const diffId = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const descriptor = { ...addBlob(layout, bytes), mediaType: 'application/vnd.oci.image.layer.v1.tar' };
  const last = manifest.layers.at(-1)?.digest;
  const step = config['vnd.tsbuild.cache.v1'].steps.find(({ layer }) => layer?.descriptor.digest === last) as Required<CacheStep>;
  Object.assign(step.layer, { descriptor, diffId });
  config.rootfs.diff_ids.splice(-1, 1, diffId);
  config.parent = honest.digest;
  manifest.layers.splice(-1, 1, descriptor);
  Object.assign(manifest.config, { ...write(config), mediaType: manifest.config.mediaType });
  const { digest, size } = write(manifest);
  Object.assign(index.manifests[0] ?? {}, { digest, size });
  writeFileSync(path.join(layout, 'index.json'), JSON.stringify(index));
}

describe('K1 K2 an image whose history, parent and inline cache claim the steps of a build', () => {
  test('K1 makes no step a hit when it was pulled, unpacked and named like the result', async () => {
    await states.forget();
    await states.world.succeed(['pull', evil], { root: states.b });
    await states.world.succeed(['tag', evil, 'app:1'], { root: states.b });
    assert.equal(await states.world.succeed(['run', 'app:1', 'cat', '/c'], { root: states.b }), 'evil');
    const { ran, found, digest } = await states.build(states.b, [...EPOCH, '-t', 'app:1', context(STEPS)]);
    assert.deepEqual([ran, [...found.keys()]], [STEPS.slice(1), []]);
    assert.equal(digest, honest.digest);
  });

  test('K2 is no cache for a build that stands on it, or copies from it', async () => {
    await states.forget();
    for (const use of [
      [`FROM ${evil}`, 'RUN cat /c'],
      ['FROM busybox', `COPY --from=${evil} /c /stolen`],
    ]) {
      const { ran } = await states.build(states.b, [...EPOCH, context(use)]);
      assert.equal(ran.length, 1);
    }
    const { ran, digest } = await states.build(states.b, [...EPOCH, context(STEPS)]);
    assert.deepEqual([ran, digest], [STEPS.slice(1), honest.digest]);
  });

  test('K2 is one for a build that names it in --cache-from: so the claims were good ones', async () => {
    await states.forget();
    const { ran, found } = await states.build(states.b, [...EPOCH, '-t', 'app:1', '--cache-from', evil, context(STEPS)]);
    assert.deepEqual([ran, [...found.values()]], [[], [`registry ${evil}`, `registry ${evil}`]]);
    assert.equal(await states.world.succeed(['run', 'app:1', 'cat', '/c'], { root: states.b }), 'evil');
  });
});
