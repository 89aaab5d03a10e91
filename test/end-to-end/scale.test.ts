import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

describe('large inputs', () => {
  test('a layer of 1 GiB builds in less than 200 MiB of memory', { timeout: 10 * 60_000 }, async () => {
    const context = world.context({
      Dockerfile: 'FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=1024 && dd if=/dev/urandom of=/noise bs=1M count=16\n',
    });
    const report = path.join(world.directory, 'time');
    const command = ['-f', '%M', '-o', report, process.execPath, BIN, '-t', 'big:1', context];
    const result = await runCommand('/usr/bin/time', command, { env: { ...process.env, TSBUILD_ROOT: world.root } });
    assert.equal(result.code, 0, result.stderr);
    const peakMiB = Number(readFileSync(report, 'utf8').trim().split('\n').at(-1)) / 1024;
    console.log(`peak memory: ${peakMiB.toFixed(0)} MiB`);
    assert.ok(peakMiB < 200, `${peakMiB} MiB`);
    assert.equal(await world.succeed(['run', 'big:1', 'stat', '-c', '%s', '/big']), String(1 << 30));
  });

  test('a context of 20,000 files is copied whole', { timeout: 10 * 60_000 }, async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY . /all\nRUN find /all -type f | wc -l > /count\n' });
    for (let dir = 0; dir < 200; dir++) {
      mkdirSync(path.join(context, `d${dir}`));
      for (let file = 0; file < 100; file++) writeFileSync(path.join(context, `d${dir}`, `f${file}`), `${dir} ${file}`);
    }
    await world.succeed(['-t', 'many:1', context]);
    assert.equal(await world.succeed(['run', 'many:1', 'cat', '/count']), '20001');
  });

  test('a base of 60 layers works as a base', { timeout: 10 * 60_000 }, async () => {
    const steps = Array.from({ length: 60 }, (_, i) => `RUN echo ${i} > /layer-${i}`);
    await world.succeed(['-t', 'deep:1', world.context({ Dockerfile: ['FROM busybox', ...steps].join('\n') })]);
    await world.succeed(['-t', 'on-deep:1', world.context({ Dockerfile: 'FROM deep:1\nRUN cat /layer-* | wc -l > /count\n' })]);
    assert.equal(await world.succeed(['run', 'on-deep:1', 'cat', '/count']), '60');
  });
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
