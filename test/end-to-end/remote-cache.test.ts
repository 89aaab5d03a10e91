import assert from 'node:assert/strict';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { makeUserWorld } from './_rootless.ts';
import { storedFiles } from './_stored-files.ts';
import { snapshotsOf, type TwoStates, twoStates } from './_two-states.ts';

let states: TwoStates;
let registry: TestRegistry;

before(async () => {
  registry = await startRegistry();
  states = await twoStates();
});
after(async () => {
  await states[Symbol.asyncDispose]();
  await registry.stop();
});

/** What runs again is another result: a build with the same digest ran nothing. */
const DOCKERFILE = [
  'FROM busybox AS tools',
  'RUN head -c8 /dev/urandom > /tool',
  'FROM busybox AS unused-files',
  'RUN head -c8 /dev/urandom > /other && echo ran',
  'FROM busybox',
  'WORKDIR /w',
  'COPY lib lib',
  'RUN head -c8 /dev/urandom > /built',
  'COPY --link lib/a /usr/linked/',
  'RUN cat /usr/linked/a /built > /seen',
  'COPY --from=tools /tool /tool',
  'RUN --mount=from=unused-files,target=/o cat /o/other > /from-mount',
  'COPY app /app',
  'RUN cat /app/main > /main',
].join('\n');
const STEPS = 11;

interface Way {
  readonly name: string;
  readonly to: readonly string[];
  readonly from: readonly string[];
  /** Where a hit is said to come from. */
  readonly shown: string;
}

function ways(mode: 'min' | 'max'): Way[] {
  const layout = path.join(states.world.directory, `cache-${mode}`);
  const ref = `${registry.host}/cache:${mode}`;
  return [
    {
      ...{
        name: 'local',
        to: ['--cache-to', `type=local,dest=${layout},mode=${mode}`],
        from: ['--cache-from', `type=local,src=${layout}`],
      },
      shown: `local ${layout}`,
    },
    {
      ...{ name: 'registry', to: ['--cache-to', `type=registry,ref=${ref},mode=${mode}`], from: ['--cache-from', ref] },
      shown: `registry ${ref}`,
    },
  ];
}

describe('a remote cache', () => {
  for (const mode of ['min', 'max'] as const) {
    test(`with mode=${mode}: another state directory runs nothing, gives the same image, and needs the cache once`, async () => {
      const context = states.world.context({ Dockerfile: DOCKERFILE, 'lib/a': mode, 'app/main': 'm' });
      for (const { name, to, from, shown } of ways(mode)) {
        await states.forget();
        const first = await states.build(states.a, ['-t', 'c:1', ...to, context]);
        const exported = first.events.find(({ kind }) => kind === 'cache');
        assert.equal(exported?.action, 'exported', name);
        const second = await states.build(states.b, ['-t', 'c:1', ...from, context]);
        assert.deepEqual(second.ran, [], name);
        assert.deepEqual([...new Set(second.found.values())], [shown]);
        assert.equal(second.found.size, STEPS);
        assert.equal(second.digest, first.digest, name);
        assert.deepEqual(second.warnings, []);
        assert.ok(!second.events.some(({ kind }) => kind === 'step-output'), 'no RUN had output');
        assert.deepEqual(snapshotsOf(states.b), [], 'nothing was unpacked');
        const third = await states.build(states.b, ['-t', 'c:1', context]);
        assert.deepEqual([third.ran, third.digest], [[], first.digest], `${name}: the next build needs no remote cache`);
        assert.deepEqual([...new Set(third.found.values())], ['here']);
        assert.match(await states.world.succeed(['run', 'c:1', 'cat', '/main'], { root: states.b }), /^m$/);
      }
    });

    test(`with mode=${mode}: a changed file runs only what it must`, async () => {
      const context = states.world.context({ Dockerfile: DOCKERFILE, 'lib/a': `changed ${mode}`, 'app/main': 'm' });
      const [way] = ways(mode);
      await states.forget();
      await states.build(states.a, ['-t', 'c:1', ...(way?.to ?? []), context]);
      writeFileSync(path.join(context, 'app/main'), 'changed');
      const second = await states.build(states.b, ['-t', 'c:1', ...(way?.from ?? []), context]);
      assert.deepEqual(second.ran, ['COPY app /app', 'RUN cat /app/main > /main']);
      assert.deepEqual(second.warnings, []);
      assert.equal(await states.world.succeed(['run', 'c:1', 'cat', '/main'], { root: states.b }), 'changed');
      // The same bits as without a cache: what was unpacked is what was made.
      const same = await states.build(states.a, ['-t', 'c:2', context]);
      assert.deepEqual(same.ran, ['COPY app /app', 'RUN cat /app/main > /main']);
      for (const file of ['/built', '/seen', '/tool', '/from-mount', '/usr/linked/a']) {
        const read = (root: string, name: string) => states.world.succeed(['run', name, 'sha256sum', file], { root });
        assert.equal(await read(states.b, 'c:1'), await read(states.a, 'c:2'), file);
      }
    });
  }

  test('with mode=min, a stage whose files are needed is made again, and what stands on it', async () => {
    const context = states.world.context({ Dockerfile: DOCKERFILE, 'lib/a': 'needed', 'app/main': 'm' });
    const [way] = ways('min');
    await states.forget();
    await states.build(states.a, ['-t', 'c:1', ...(way?.to ?? []), context]);
    writeFileSync(path.join(context, 'lib/a'), 'other');
    const second = await states.build(states.b, ['-t', 'c:1', ...(way?.from ?? []), context]);
    assert.deepEqual([...second.found.keys()], ['WORKDIR /w']);
    assert.deepEqual(second.warnings, [], 'as is to be expected of such a cache');
    assert.equal(await states.world.succeed(['run', 'c:1', 'cat', '/usr/linked/a'], { root: states.b }), 'other');
  });

  test('type=inline goes with the image, and is imported by its name', async () => {
    const context = states.world.context({ Dockerfile: DOCKERFILE, 'lib/a': 'inline', 'app/main': 'm' });
    await states.forget();
    const name = `${registry.host}/inline:1`;
    const first = await states.build(states.a, ['-t', name, '--push', '--cache-to', 'type=inline', context]);
    const second = await states.build(states.b, ['-t', name, '--cache-from', name, '--cache-to', 'type=inline', context]);
    assert.deepEqual([second.ran, second.found.size, second.digest], [[], STEPS, first.digest]);
    const several = ['--platform', 'linux/amd64,linux/arm64', '-t', `${registry.host}/inline:2`];
    const plain = states.world.context({ Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'inline' });
    const index = await states.build(states.a, [...several, '--push', '--cache-to', 'type=inline', plain]);
    await states.forget();
    const other = await states.build(states.b, [
      ...several,
      '--cache-from',
      `${registry.host}/inline:2`,
      '--cache-to',
      'type=inline',
      plain,
    ]);
    assert.deepEqual([other.ran, other.digest], [[], index.digest], 'an index of several platforms');
  });

  test('knows a COPY --from of a stage that ran again and made the same', async () => {
    const steps = (comment: string) => [
      'FROM busybox AS tools',
      `RUN echo tool > /tool # ${comment}`,
      'FROM busybox',
      'COPY --from=tools /tool /',
      'RUN date > /d',
    ];
    const layout = path.join(states.world.directory, 'same-content');
    const context = states.world.context({ Dockerfile: steps('one').join('\n') });
    await states.build(states.a, [context]);
    writeFileSync(path.join(context, 'Dockerfile'), steps('two').join('\n'));
    const first = await states.build(states.a, ['--cache-to', `type=local,dest=${layout},mode=max`, context]);
    assert.deepEqual(first.ran, ['RUN echo tool > /tool # two']);
    await states.forget();
    const second = await states.build(states.b, ['--cache-from', `type=local,src=${layout}`, context]);
    assert.deepEqual([second.ran, second.digest, second.warnings], [[], first.digest, []]);
  });

  test('of which there is none is told, and no failure', async () => {
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
    const sources = [`${registry.host}/none:1`, `type=local,src=${states.world.directory}/none`];
    const { events, warnings } = await states.build(states.b, [...sources.flatMap((source) => ['--cache-from', source]), context]);
    assert.deepEqual(
      events.flatMap(({ kind, action }) => (kind === 'cache' ? action : [])),
      ['missing', 'missing'],
    );
    assert.deepEqual(warnings, []);
  });

  test('an image without a cache in it is no cache', async () => {
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN echo plain > /plain\n' });
    const name = `${registry.host}/plain:1`;
    await states.build(states.a, ['-t', name, '--push', context]);
    await states.forget();
    const { events, ran } = await states.build(states.b, ['--cache-from', name, context]);
    assert.deepEqual(ran, ['RUN echo plain > /plain']);
    assert.equal(events.find(({ kind }) => kind === 'cache')?.action, 'missing');
  });

  test('is passed on by who only took from it, without fetching what is not needed', async () => {
    const context = states.world.context({ Dockerfile: DOCKERFILE, 'lib/a': 'chain', 'app/main': 'm' });
    const [one, two] = [1, 2].map((n) => path.join(states.world.directory, `chain-${n}`));
    const first = await states.build(states.a, ['--cache-to', `type=local,dest=${one},mode=max`, context]);
    await states.forget();
    await states.build(states.b, [
      '-o',
      'type=cacheonly',
      '--cache-from',
      `type=local,src=${one}`,
      '--cache-to',
      `type=local,dest=${two},mode=max`,
      context,
    ]);
    await states.forget();
    const third = await states.build(states.b, ['--cache-from', `type=local,src=${two}`, context]);
    assert.deepEqual([third.ran, third.digest], [[], first.digest]);
  });

  test('is left as it was where it cannot be written: a failure, or with ignore-error=true a warning', async () => {
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
    const to = 'type=local,dest=/proc/none';
    const failed = await states.world.tsbuild(['build', '-t', 'kept:1', '--cache-to', to, context], { root: states.a });
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /CACHE_FAILED|Cannot use the cache \/proc\/none/);
    assert.match(await states.world.succeed(['images'], { root: states.a }), /kept/, 'the image is there');
    const { warnings } = await states.build(states.a, ['--cache-to', `${to},ignore-error=true`, context]);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /Left the cache local \/proc\/none as it was/);
  });

  test('type=local keeps other tags; with reset=true nothing but the new cache stays', async () => {
    const layout = path.join(states.world.directory, 'tags');
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN echo 1 > /f\n' });
    const blobs = () => readdirSync(path.join(layout, 'blobs/sha256')).length;
    await states.build(states.a, ['--cache-to', `type=local,dest=${layout},tag=one`, context]);
    const few = blobs();
    writeFileSync(path.join(context, 'Dockerfile'), 'FROM busybox\nRUN echo 2 > /f\n');
    await states.build(states.a, ['--cache-to', `type=local,dest=${layout},tag=two`, context]);
    await states.forget();
    const { ran } = await states.build(states.b, ['--cache-from', `type=local,src=${layout},tag=two`, context]);
    assert.deepEqual(ran, []);
    assert.ok(blobs() > few);
    await states.build(states.a, ['--cache-to', `type=local,dest=${layout},tag=two,reset=true`, context]);
    assert.equal(blobs(), few);
  });

  test('has no secret in it', async () => {
    const layout = path.join(states.world.directory, 'secret');
    const secret = 'HUSH-4711-do-not-tell';
    const context = states.world.context({
      Dockerfile: 'FROM busybox\nARG TOKEN\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /size\n',
    });
    const args = ['--secret', 'id=s,env=HUSH', '--build-arg', 'TOKEN', '--cache-to', `type=local,dest=${layout},mode=max`, context];
    await states.build(states.a, args, { HUSH: secret, TOKEN: secret });
    let files = 0;
    for (const [file, bytes] of storedFiles(layout)) {
      files++;
      assert.ok(!bytes.includes(secret) && !bytes.includes(Buffer.from(secret).toString('base64')), file);
    }
    assert.ok(files >= 5, `${files} files`);
  });

  test('made by root serves an ordinary user, and the other way round', async () => {
    const world = await makeUserWorld();
    await using user = await twoStates(world);
    const context = world.context({ Dockerfile: DOCKERFILE, 'lib/a': 'user', 'app/main': 'm' });
    chmodSync(states.world.directory, 0o755);
    const byRoot = path.join(states.world.directory, 'by-root');
    const first = await states.build(states.a, ['--cache-to', `type=local,dest=${byRoot},mode=max`, context]);
    const second = await user.build(user.b, ['--cache-from', `type=local,src=${byRoot}`, context]);
    assert.deepEqual([second.ran, second.digest], [[], first.digest]);
    writeFileSync(path.join(context, 'app/main'), 'by a user');
    const dest = path.join(path.dirname(world.root), 'by-user');
    const third = await user.build(user.b, [
      '--cache-from',
      `type=local,src=${byRoot}`,
      '--cache-to',
      `type=local,dest=${dest},mode=max`,
      context,
    ]);
    assert.deepEqual(third.ran, ['COPY app /app', 'RUN cat /app/main > /main']);
    await states.forget();
    const fourth = await states.build(states.b, ['--cache-from', `type=local,src=${dest}`, context]);
    assert.deepEqual([fourth.ran, fourth.digest], [[], third.digest]);
  });
});
