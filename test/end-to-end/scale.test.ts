import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeUserWorld } from './_rootless.ts';
import { makeWorld, type World } from './_world.ts';

/** No step needs a network. */
const BARE = ['--network', 'none'];
/** More than one flat layer. */
const STEPS = 150;

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join('\n');
}

async function manifestOf(world: World, name: string): Promise<{ layers: { digest: string }[] }> {
  return (JSON.parse(await world.succeed(['inspect', name])) as { manifest: { layers: { digest: string }[] } }).manifest;
}

/** Names of a layer, as GNU tar reads it. */
function filesOf(world: World, digest: string): string[] {
  const blob = path.join(world.root, 'blobs/sha256', digest.slice('sha256:'.length));
  return execFileSync('tar', ['-tzf', blob], { encoding: 'utf8' }).trim().split('\n');
}

/** 520 is more than one overlay mount takes (500, fs/overlayfs). */
const cases = [
  { who: 'root', make: makeWorld, layers: 520 },
  { who: 'an ordinary user', make: makeUserWorld, layers: 140 },
];

for (const { who, make, layers: count } of cases) {
  describe(`as ${who}`, () => {
    let world: World;
    before(async () => {
      world = await make();
    });
    after(async () => await world[Symbol.asyncDispose]());

    test(`X34 a base of ${count} layers is built on, each later layer holds its own changes alone, and nothing is lost`, async () => {
      const copies = lines(count, (index) => `COPY f /d/f${index}`);
      const layout = path.join(path.dirname(world.root), 'deep');
      await world.succeed(['-o', `type=oci,tar=false,dest=${layout}`, world.context({ Dockerfile: `FROM busybox\n${copies}\n`, f: 'x' })]);
      const Dockerfile = [
        'FROM deep',
        `RUN ls /d | wc -l > /count && rm /d/f0 /d/f${count - 1} && echo y > /d/f1`,
        'RUN [ ! -e /d/f0 ] && ls /d | wc -l >> /count',
      ].join('\n');
      // In a clean store, so that the layers are unpacked one on the other.
      const other = { root: `${world.root}-other` };
      await world.succeed(['-t', 'top:1', ...BARE, '--build-context', `deep=oci-layout://${layout}`, world.context({ Dockerfile })], other);
      assert.equal(
        await world.succeed(['run', ...BARE, 'top:1', 'sh', '-c', 'cat /count /d/f1; ls /d | wc -l'], other),
        `${count}\n${count - 2}\ny\n${count - 2}`,
      );
      const inspected = JSON.parse(await world.succeed(['inspect', 'top:1'], other)) as { manifest: { layers: { digest: string }[] } };
      assert.equal(inspected.manifest.layers.length, count + 3);
      const changed = filesOf({ ...world, root: other.root }, inspected.manifest.layers.at(-2)?.digest ?? '');
      assert.deepEqual(changed.sort(), ['count', 'd/', 'd/.wh.f0', `d/.wh.f${count - 1}`, 'd/f1']);
    });

    test(`${STEPS} RUNs: each layer is its own change`, async () => {
      const Dockerfile = `FROM busybox\n${lines(STEPS, (index) => `RUN echo ${index} > /f${index}`)}\n`;
      await world.succeed(['-t', 'long:1', ...BARE, world.context({ Dockerfile })]);
      const { layers } = await manifestOf(world, 'long:1');
      const files = layers.slice(1).map(({ digest }) => filesOf(world, digest));
      assert.deepEqual(
        files,
        Array.from({ length: STEPS }, (_, index) => [`f${index}`]),
      );
    });
  });
}

test('X34 10,000 instructions are carried out, and each is in the history', async () => {
  await using world = await makeWorld();
  const Dockerfile = `FROM busybox\n${lines(10_000, (index) => (index % 2 === 0 ? `ENV V${index % 500}=${index}` : `LABEL l${index % 500}=${index}`))}\n`;
  await world.succeed(['-t', 'many:1', world.context({ Dockerfile })]);
  const image = JSON.parse(await world.succeed(['inspect', 'many:1'])) as { config: { history: unknown[]; config: { Env: string[] } } };
  assert.equal(image.config.history.length, 10_001);
  assert.equal(image.config.config.Env.length, 251);
});

test('X34 1,000 stages that stand on the one before, or copy from it, are planned and built', async () => {
  await using world = await makeWorld();
  const stage = (index: number): string =>
    index % 2 === 0 ? `FROM s${index - 1} AS s${index}\nENV INDEX=${index}` : `FROM busybox AS s${index}\nCOPY --from=s${index - 1} /f /f`;
  const Dockerfile = `FROM busybox AS s0\nRUN echo first > /f\n${lines(999, (index) => stage(index + 1))}\n`;
  const { code, stderr } = await world.tsbuild([...BARE, '--progress=json', '-t', 'stages:1', world.context({ Dockerfile })]);
  assert.equal(code, 0, stderr.slice(-3000));
  const ends = stderr.match(/"kind":"step-end"/g) ?? [];
  assert.equal(ends.length, 2000);
  assert.equal(await world.succeed(['run', ...BARE, 'stages:1', 'sh', '-c', 'echo $INDEX && cat /f']), '\nfirst');
});
