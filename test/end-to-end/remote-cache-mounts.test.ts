import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addBlob, copyLayout, rewriteRecords } from './_cache-layout.ts';
import { type TwoStates, twoStates } from './_two-states.ts';

let states: TwoStates;
let layout: string;

before(async () => {
  states = await twoStates();
  layout = path.join(states.world.directory, 'mounts');
  await states.build(states.a, ['--cache-to', `type=local,dest=${layout},mounts=true`, context('first')]);
});
after(async () => await states[Symbol.asyncDispose]());

/** What the cache holds is seen in the image. */
function context(word: string): string {
  const run = `echo ${word} >> /c/words && chmod 640 /c/words && ln -sf words /c/link && mkdir -p /c/d && cat /c/words > /seen && ls -la /c`;
  return states.world.context({ Dockerfile: `FROM busybox\nRUN --mount=type=cache,target=/c,id=words,uid=7,mode=0750 ${run}\n` });
}

async function seen(root: string, from: readonly string[], word: string): Promise<{ words: string; warnings: readonly string[] }> {
  const { warnings } = await states.build(root, ['-t', 'm:1', ...from, context(word)]);
  return { words: (await states.world.succeed(['run', 'm:1', 'cat', '/seen'], { root })).replaceAll('\n', ' '), warnings };
}

describe('cache mounts in a remote cache', () => {
  test('come back where there is none here, with owner and mode, and never over what is here', async () => {
    const from = ['--cache-from', `type=local,src=${layout},mounts=true`];
    await states.forget();
    assert.deepEqual(await seen(states.b, from, 'second'), { words: 'first second', warnings: [] });
    assert.deepEqual(await seen(states.b, from, 'third'), { words: 'first second third', warnings: [] });
    await states.forget();
    assert.deepEqual(
      (await seen(states.b, ['--cache-from', `type=local,src=${layout}`], 'alone')).words,
      'alone',
      'only where mounts=true says so',
    );
    assert.deepEqual((await seen(states.b, from, 'again')).words, 'alone again');
  });

  test('come back where the directory is empty', async () => {
    await states.forget();
    await seen(states.b, [], 'x');
    const emptied = states.world.context({
      Dockerfile: 'FROM busybox\nRUN --mount=type=cache,target=/c,id=words,uid=7,mode=0750 rm -rf /c/*\n',
    });
    await states.build(states.b, [emptied]);
    assert.equal((await seen(states.b, ['--cache-from', `type=local,src=${layout},mounts=true`], 'y')).words, 'first y');
  });

  test('have the owner, the mode and the kinds of files that they had', async () => {
    await states.forget();
    const probe = "stat -c '%a %u %F' /c /c/words /c/link /c/d | tr '\\n' ';' > /seen";
    const dockerfile = `FROM busybox\nRUN --mount=type=cache,target=/c,id=words,uid=7,mode=0750 ${probe}\n`;
    await states.build(states.b, [
      '-t',
      'm:2',
      '--cache-from',
      `type=local,src=${layout},mounts=true`,
      states.world.context({ Dockerfile: dockerfile }),
    ]);
    const facts = await states.world.succeed(['run', 'm:2', 'cat', '/seen'], { root: states.b });
    assert.equal(facts, '750 7 directory;640 0 regular file;777 0 symbolic link;755 0 directory;');
  });

  test('are passed on by a build that ran no step, and exported alike twice', async () => {
    const next = path.join(states.world.directory, 'passed-on');
    const [one, two] = [1, 2].map((n) => path.join(states.world.directory, `alike-${n}`));
    const place = context('first');
    const from = ['--cache-from', `type=local,src=${layout},mounts=true`];
    await states.forget();
    const { ran, events } = await states.build(states.b, [...from, '--cache-to', `type=local,dest=${next},mounts=true`, place]);
    assert.deepEqual(ran, []);
    assert.equal(events.find(({ action }) => action === 'exported')?.mounts, 1);
    rmSync(layout, { recursive: true });
    copyLayout(next, layout);
    await states.forget();
    assert.equal((await seen(states.b, from, 'z')).words, 'first z');
    for (const dest of [one, two]) await states.build(states.b, ['--cache-to', `type=local,dest=${dest},mounts=true`, place]);
    const digests: unknown[] = [];
    for (const dest of [one, two])
      rewriteRecords(dest ?? '', ({ mounts }) => void digests.push(mounts.map(({ descriptor }) => descriptor.digest)));
    assert.deepEqual(digests[0], digests[1]);
  });

  test('that are broken or hostile cost a warning, and the mount starts empty', async () => {
    const outside = path.join(states.world.directory, 'outside');
    const tar = states.world.context({ words: 'evil\n' });
    writeFileSync(outside, 'untouched');
    const archive = path.join(tar, 'escape.tar');
    execFileSync('tar', ['--transform', `s#^words#../../../../../../${outside.slice(1)}#`, '-P', '-cf', archive, '-C', tar, 'words']);
    const bytes = readFileSync(archive);
    const cases: [string, Parameters<typeof rewriteRecords>[1]][] = [
      ['wrong diffID', ({ mounts: [mount] }) => void Object.assign(mount ?? {}, { diffId: `sha256:${'0'.repeat(64)}` })],
      [
        'blob that is not there',
        ({ mounts: [mount] }) => void Object.assign(mount?.descriptor ?? {}, { digest: `sha256:${'1'.repeat(64)}` }),
      ],
    ];
    for (const [name, change] of cases) {
      const broken = copyLayout(layout, path.join(states.world.directory, name.replaceAll(' ', '-')));
      rewriteRecords(broken, change);
      await states.forget();
      const { words, warnings } = await seen(states.b, ['--cache-from', `type=local,src=${broken},mounts=true`], 'clean');
      assert.deepEqual([words, warnings.length], ['clean', 1], name);
      assert.match(warnings[0] ?? '', /Starting the cache mount "words" without what/);
    }
    const hostile = copyLayout(layout, path.join(states.world.directory, 'hostile'));
    const { digest, size } = addBlob(hostile, bytes);
    rewriteRecords(hostile, ({ mounts: [mount] }) => {
      Object.assign(mount ?? {}, { diffId: digest, descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size } });
      return undefined;
    });
    await states.forget();
    const { warnings } = await seen(states.b, ['--cache-from', `type=local,src=${hostile},mounts=true`], 'clean');
    assert.equal(warnings.length, 1, 'a name that leads out is refused');
    assert.equal(readFileSync(outside, 'utf8'), 'untouched');
  });
});
