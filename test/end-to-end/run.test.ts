import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
  await world.succeed([
    '-t',
    'app:1',
    world.context({
      Dockerfile: 'FROM busybox\nENV FROM_IMAGE=yes\nWORKDIR /tmp\nUSER app\nENTRYPOINT ["/bin/sh", "-c"]\nCMD ["echo default"]\n',
    }),
  ]);
});
after(async () => await world[Symbol.asyncDispose]());

describe('tsbuild run', () => {
  test('runs ENTRYPOINT with CMD, or with the arguments given', async () => {
    assert.equal(await world.succeed(['run', 'app:1']), 'default');
    assert.equal(await world.succeed(['run', 'app:1', 'echo $FROM_IMAGE; pwd; id -un']), 'yes\n/tmp\napp');
  });

  test('passes the exit code and the signal of the command', async () => {
    assert.equal((await world.tsbuild(['run', 'app:1', 'exit 7'])).code, 7);
    assert.equal((await world.tsbuild(['run', 'app:1', 'kill -9 $$'])).code, 137);
  });

  test('--entrypoint, -e, -u and -w replace what the image says', async () => {
    assert.equal(
      await world.succeed([
        'run',
        '--entrypoint',
        '/bin/sh',
        '-e',
        'A=b c',
        '-u',
        '0:10',
        '-w',
        '/etc',
        'app:1',
        '-c',
        'echo $A; id -u; id -g; pwd',
      ]),
      'b c\n0\n10\n/etc',
    );
  });

  test('leaves nothing of what the command wrote', async () => {
    const before = readdirSync(path.join(world.root, 'snapshots/d')).length;
    await world.succeed(['run', '-u', '0', 'app:1', 'echo x > /written']);
    assert.equal((await world.tsbuild(['run', 'app:1', 'cat /written'])).code, 1);
    assert.equal(readdirSync(path.join(world.root, 'snapshots/d')).length, before);
  });

  test('stdin reaches the command', async () => {
    assert.equal(await world.succeed(['run', 'app:1', 'cat'], { input: 'from stdin' }), 'from stdin');
  });
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
