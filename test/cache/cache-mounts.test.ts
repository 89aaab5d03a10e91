import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CacheRequest, takeCache } from '../../src/cache/cache-mounts.ts';

const roots: string[] = [];
after(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});

function makeRoot(): string {
  const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-caches-'));
  roots.push(root);
  return root;
}

const NAME = 'a'.repeat(64);
const request = (changes: Partial<CacheRequest> = {}): CacheRequest => ({
  ...{ name: NAME, sharing: 'shared', signal: new AbortController().signal },
  onWait: () => assert.fail('It waits'),
  fill: async () => ({ mode: 0o755, uid: 0, gid: 0 }),
  ...changes,
});

describe('takeCache()', () => {
  test('fills a directory once, with the owner and mode that were said', async () => {
    const root = makeRoot();
    const fill = async () => ({ mode: 0o2710, uid: 3, gid: 4 });
    using first = await takeCache(root, request({ fill }));
    const { mode, uid, gid } = statSync(first.directory);
    assert.deepEqual([mode & 0o7777, uid, gid], [0o2710, 3, 4]);
    using second = await takeCache(root, request({ fill: async () => assert.fail('It is filled again') }));
    assert.equal(second.directory, first.directory);
  });

  test('leaves nothing of a directory that could not be filled, and of one that a crash left unfinished', async () => {
    const root = makeRoot();
    await assert.rejects(takeCache(root, request({ fill: async () => Promise.reject(new Error('full')) })), /full/);
    const place = path.join(root, 'cache/mounts', NAME, '0');
    assert.ok(!existsSync(path.join(place, 'data')));
    mkdirSync(path.join(place, 'new/deep'), { recursive: true });
    writeFileSync(path.join(place, 'new/deep/half'), '');
    using held = await takeCache(root, request());
    assert.deepEqual(readdirSync(held.directory), []);
    assert.deepEqual(readdirSync(place).sort(), ['data', 'lock']);
  });

  test('lets shared ones be together, locked ones be alone, and private ones be elsewhere', async () => {
    const root = makeRoot();
    const shared = [await takeCache(root, request()), await takeCache(root, request())];
    const elsewhere = [await takeCache(root, request({ sharing: 'private' })), await takeCache(root, request({ sharing: 'private' }))];
    assert.equal(new Set([...shared, ...elsewhere].map(({ directory }) => directory)).size, 3);
    let isAlone = false;
    const locked = takeCache(root, request({ sharing: 'locked', onWait: () => undefined })).then((held) => {
      isAlone = true;
      return held;
    });
    shared[0]?.[Symbol.dispose]();
    await sleep(300);
    assert.equal(isAlone, false);
    shared[1]?.[Symbol.dispose]();
    using _held = await locked;
    for (const each of elsewhere) each[Symbol.dispose]();
    using _slot = await takeCache(root, request({ sharing: 'private' }));
    assert.equal(_slot.directory, elsewhere[0]?.directory);
  });

  test('says once that it waits, after a second, and stops when it is told to', async () => {
    const root = makeRoot();
    using _held = await takeCache(root, request({ sharing: 'locked' }));
    const stop = new AbortController();
    let waits = 0;
    const waiting = takeCache(root, request({ sharing: 'locked', signal: stop.signal, onWait: () => waits++ }));
    await sleep(500);
    assert.equal(waits, 0);
    await sleep(1000);
    assert.equal(waits, 1);
    stop.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
  });

  test('takes names that are hashes only', async () => {
    for (const name of ['', '../x', 'a'.repeat(63), 'A'.repeat(64)])
      await assert.rejects(takeCache(makeRoot(), request({ name })), /Not a name/);
  });
});
