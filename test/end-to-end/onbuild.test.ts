/** ONBUILD: triggers of images and of earlier stages run in the child, once, and say where they come from. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

interface Details {
  readonly config: {
    readonly config: { readonly Env: readonly string[]; readonly OnBuild?: readonly string[] };
    readonly history: readonly { readonly created_by: string }[];
  };
}

describe('ONBUILD', () => {
  let world: World;
  before(async () => {
    world = await makeWorld();
    const lines = [
      ...['FROM busybox', 'ONBUILD ARG WHO=nobody', 'ONBUILD ENV K=$WHO', 'ONBUILD COPY src /src'],
      ...['ONBUILD COPY <<E /expanded', 'K is $K', 'E', 'ONBUILD RUN <<E', 'cat /src /expanded > /both', 'E'],
    ];
    await world.succeed(['-t', 'parent:1', world.context({ Dockerfile: `${lines.join('\n')}\n` })]);
  });
  after(() => world[Symbol.asyncDispose]());

  const inspect = async (name: string) => (JSON.parse(await world.succeed(['inspect', name])) as Details).config;

  test('triggers of an image run in the child, with its arguments and its context, and are gone then', async () => {
    assert.equal((await inspect('parent:1')).config.OnBuild?.length, 5);
    const context = world.context({ Dockerfile: 'FROM parent:1\nRUN cat /both >> /both2\n', src: 'mine\n' });
    await world.succeed(['--build-arg', 'WHO=me', '-t', 'child:1', context]);
    const { config, history } = await inspect('child:1');
    assert.ok(config.Env.includes('K=me'));
    assert.equal(config.OnBuild, undefined);
    assert.deepEqual(
      history.slice(-6).map(({ created_by }) => created_by),
      [
        ...['ARG WHO=me', 'ENV K=me', 'COPY src /src # buildkit', 'COPY <<E /expanded # buildkit'],
        ...['RUN |1 WHO=me /bin/sh -c cat /src /expanded > /both\n # buildkit', 'RUN |1 WHO=me /bin/sh -c cat /both >> /both2 # buildkit'],
      ],
    );
    assert.equal(await world.succeed(['run', 'child:1', 'cat', '/both2']), 'mine\nK is me');
    await world.succeed(['-t', 'grandchild:1', world.context({ Dockerfile: 'FROM child:1\nCOPY Dockerfile /\n' })]);
    assert.ok((await judgeImages(world)) >= 3);
  });

  test('a second build finds the steps of triggers in the cache', async () => {
    const context = world.context({ Dockerfile: 'FROM parent:1\n', src: 'x\n' });
    const first = await world.succeed(['-t', 'cached:1', context]);
    const { stdout, stderr } = await world.tsbuild(['--progress', 'plain', '-t', 'cached:1', context]);
    assert.equal(stdout.trim(), first);
    assert.equal(stderr.match(/CACHED/g)?.length, 3);
    assert.match(stderr, /\[stage-0 4\/6\] ONBUILD COPY src \/src/);
  });

  test('a trigger that fails is named, with the FROM that brought it', async () => {
    await world.succeed(['-t', 'failing:1', world.context({ Dockerfile: 'FROM busybox\nONBUILD RUN exit 3\n' })]);
    const { code, stderr } = await world.tsbuild([world.context({ Dockerfile: '# x\nFROM failing:1\n' })]);
    assert.equal(code, 1);
    assert.match(stderr, /ONBUILD RUN exit 3 exited with code 3/);
    assert.match(stderr, /Dockerfile:2/);
    assert.match(stderr, /The base of the stage brings "ONBUILD RUN exit 3"/);
  });

  test('COPY --from of a trigger finds the stages of the child, and an unset variable of one is an error', async () => {
    const parent = 'FROM busybox\nONBUILD ARG FROM_STAGE\nONBUILD COPY --from=$FROM_STAGE /out /taken\n';
    await world.succeed(['-t', 'taking:1', world.context({ Dockerfile: parent })]);
    const Dockerfile = 'FROM busybox AS one\nRUN echo 1 > /out\nFROM busybox AS two\nRUN exit 9\nFROM taking:1\n';
    const context = world.context({ Dockerfile });
    await world.succeed(['--build-arg', 'FROM_STAGE=one', '-t', 'taken:1', context]);
    assert.equal(await world.succeed(['run', 'taken:1', 'cat', '/taken']), '1');
    const { stderr } = await world.tsbuild([context]);
    assert.match(stderr, /ERR_TSBUILD_EXPANSION: Cannot use \$FROM_STAGE as a source: the variable FROM_STAGE is not set/);
    assert.match(stderr, /Dockerfile:5/);
  });
});
