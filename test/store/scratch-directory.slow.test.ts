import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScratchDirectory, removeDeadScratch } from '../../src/store/scratch-directory.ts';
import { temporaryDirectory } from './_store.ts';

const scratchUrl = new URL('../../src/store/scratch-directory.js', import.meta.url).href;

/** Makes a directory and sweeps, without end: each is in the middle of the other's making. */
const SWEEPER = `
  import { openScratchDirectory, removeDeadScratch } from ${JSON.stringify(scratchUrl)};
  const [ingest, count] = process.argv.slice(-2);
  process.stdin.once('data', async () => {
    for (let i = 0; i < Number(count); i++) {
      removeDeadScratch(ingest);
      const scratch = openScratchDirectory(ingest);
      await (await scratch.create()).close();
      await scratch[Symbol.asyncDispose]();
    }
    process.stdin.destroy();
  });
  console.log('ready');`;

test('openScratchDirectory() and removeDeadScratch() of many processes at once keep out of each other’s way', async (t) => {
  const ingest = temporaryDirectory(t);
  for (let i = 0; i < 300; i++) {
    mkdirSync(join(ingest, `dead${i}`));
    writeFileSync(join(ingest, `dead${i}`, '0'), 'left');
  }
  const sweepers = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', SWEEPER, ingest, '400'], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const codes = sweepers.map((child) => new Promise((resolve) => child.once('exit', resolve)));
  await Promise.all(sweepers.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
  for (const child of sweepers) child.stdin.write('go');
  assert.deepEqual(await Promise.all(codes), Array(6).fill(0));
  assert.deepEqual(readdirSync(ingest), []);
});

test('openScratchDirectory() makes nothing before it is asked for a file, and fails where its place is gone', async (t) => {
  const ingest = join(temporaryDirectory(t), 'ingest');
  mkdirSync(ingest);
  await using scratch = openScratchDirectory(ingest);
  assert.deepEqual(readdirSync(ingest), []);
  const file = await scratch.create();
  removeDeadScratch(ingest);
  assert.equal(readdirSync(ingest).length, 1, 'a directory that is held stays');
  await file.handle.write('x');
  await using lost = openScratchDirectory(join(ingest, 'missing'));
  await assert.rejects(lost.create(), { code: 'ENOENT' });
});
