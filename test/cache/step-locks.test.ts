import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStepLocks } from '../../src/cache/step-locks.ts';

const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-locks-'));
after(() => rmSync(root, { recursive: true, force: true }));
const KEY = 'a'.repeat(64);
const controller = new AbortController();
setMaxListeners(0, controller.signal);
const waiting = { signal: controller.signal, onWait() {} };
const directory = path.join(root, 'cache/running');

describe('openStepLocks()', () => {
  test('gives a key to one after the other, and leaves no file', async () => {
    let [held, peak, times] = [0, 0, 0];
    const work = async () => {
      using _lock = await openStepLocks(root).take(KEY, waiting);
      peak = Math.max(peak, ++held);
      times++;
      await sleep(1);
      held--;
    };
    await Promise.all(Array.from({ length: 25 }, work));
    assert.deepEqual([peak, times], [1, 25]);
    assert.deepEqual(readdirSync(directory), []);
  });

  test('stops to wait when it is told to, says that it waits, and lets other keys pass', async () => {
    const locks = openStepLocks(root);
    using _held = await locks.take(KEY, waiting);
    let said = 0;
    const late = locks.take(KEY, { signal: AbortSignal.timeout(1500), onWait: () => said++ });
    using _other = await locks.take('b'.repeat(64), waiting);
    await assert.rejects(late);
    assert.equal(said, 1);
  });

  test('removes what killed processes left, and nothing that is held', async () => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, 'c'.repeat(64)), '');
    using _held = await openStepLocks(root).take(KEY, waiting);
    openStepLocks(root);
    assert.deepEqual(readdirSync(directory), [KEY]);
  });
});
