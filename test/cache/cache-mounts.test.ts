import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type CacheRequest, holdCache, takeCache } from '../../src/cache/cache-mounts.ts';

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
  ...{ name: NAME, id: '/named', sharing: 'shared', signal: new AbortController().signal },
  onWait: () => assert.fail('It waits'),
  discard: (directory) => assert.fail(`${directory} is as it was left`),
  fill: async () => ({ mode: 0o755, uid: 0, gid: 0 }),
  ...changes,
});

describe('takeCache()', () => {
  test('fills a directory once, with the owner and mode that were said', async () => {
    const root = makeRoot();
    const fill = async () => ({ mode: 0o2710, uid: 3, gid: 4 });
    await using first = await takeCache(root, request({ fill }));
    const { mode, uid, gid } = statSync(first.directory);
    assert.deepEqual([mode & 0o7777, uid, gid], [0o2710, 3, 4]);
    await using second = await takeCache(root, request({ fill: async () => assert.fail('It is filled again') }));
    assert.equal(second.directory, first.directory);
  });

  test('leaves nothing of a directory that could not be filled, and of one that a crash left unfinished', async () => {
    const root = makeRoot();
    await assert.rejects(takeCache(root, request({ fill: async () => Promise.reject(new Error('full')) })), /full/);
    const place = path.join(root, 'cache/mounts', NAME, '0');
    assert.ok(!existsSync(path.join(place, 'data')));
    mkdirSync(path.join(place, 'new/deep'), { recursive: true });
    writeFileSync(path.join(place, 'new/deep/half'), '');
    await using held = await takeCache(root, request());
    assert.deepEqual(readdirSync(held.directory), []);
    assert.deepEqual(readdirSync(place).sort(), ['data', 'id', 'lock']);
  });

  test('makes a new directory where a collection took the old one away while it waited', async () => {
    const root = makeRoot();
    const place = path.join(root, 'cache/mounts', NAME, '0');
    for (const sharing of ['locked', 'shared'] as const) {
      const held = await takeCache(root, request({ sharing: 'locked' }));
      writeFileSync(path.join(held.directory, 'old'), '');
      const waiting = takeCache(root, request({ sharing, onWait: () => undefined }));
      await sleep(20);
      renameSync(place, path.join(root, `trash-${sharing}`));
      await held[Symbol.asyncDispose]();
      await using after = await waiting;
      assert.deepEqual(readdirSync(after.directory), []);
      assert.ok(existsSync(path.join(place, 'data')));
    }
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
    await shared[0]?.[Symbol.asyncDispose]();
    await sleep(300);
    assert.equal(isAlone, false);
    await shared[1]?.[Symbol.asyncDispose]();
    await using _held = await locked;
    for (const each of elsewhere) await each[Symbol.asyncDispose]();
    await using _slot = await takeCache(root, request({ sharing: 'private' }));
    assert.equal(_slot.directory, elsewhere[0]?.directory);
  });

  test('says once that it waits, after a second, and stops when it is told to', async () => {
    const root = makeRoot();
    await using _held = await takeCache(root, request({ sharing: 'locked' }));
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

  test('has one directory for processes that take it for the first time at the same moment', async () => {
    const root = makeRoot();
    const times = 300;
    const nameOf = (time: number): string => time.toString(16).padStart(64, '0');
    const module = new URL('../../src/cache/cache-mounts.js', import.meta.url).href;
    const script = `import { existsSync } from 'node:fs';
      import { takeCache } from ${JSON.stringify(module)};
      const root = ${JSON.stringify(root)};
      const rest = { id: 'x', sharing: 'shared', signal: new AbortController().signal, onWait() {}, discard() {} };
      const fill = async () => ({ mode: 0o755, uid: 0, gid: 0 });
      console.log('ready');
      for (let time = 0; time < ${times}; time++) {
        const name = time.toString(16).padStart(64, '0');
        while (!existsSync(root + '/cache/mounts/' + name + '/0/lock'));
        const held = await takeCache(root, { ...rest, name, fill });
        await held[Symbol.asyncDispose]();
      }`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(other, 'close');
    await once(other.stdout, 'data');
    for (let time = 0; time < times && other.exitCode === null; time++) {
      const held = await takeCache(root, request({ name: nameOf(time), onWait: () => {} }));
      await held[Symbol.asyncDispose]();
      await nextTurn();
    }
    assert.deepEqual(await ended, [0, null]);
  });

  test('takes names that are hashes only', async () => {
    for (const name of ['', '../x', 'a'.repeat(63), 'A'.repeat(64)])
      await assert.rejects(takeCache(makeRoot(), request({ name })), /Not a name/);
  });
});

describe('the seal of a cache', () => {
  const place = (root: string): string => path.join(root, 'cache/mounts', NAME, '0');
  const isSealed = (root: string): boolean => lstatSync(path.join(place(root), 'seal'), { throwIfNoEntry: false }) !== undefined;

  /** Where a step has left `d/f` and `g` in it. */
  async function left(): Promise<string> {
    const root = makeRoot();
    await using held = await takeCache(root, request());
    mkdirSync(path.join(held.directory, 'd'));
    writeFileSync(path.join(held.directory, 'd/f'), 'some');
    writeFileSync(path.join(held.directory, 'g'), 'more');
    return root;
  }

  /** Takes it, and says whether its files were thrown away for it. */
  async function isThrownAway(root: string, changes: Partial<CacheRequest> = {}): Promise<boolean> {
    const discarded: string[] = [];
    const discard = (directory: string): void => {
      discarded.push(directory);
      rmSync(directory, { recursive: true });
    };
    await using held = await takeCache(root, request({ discard, ...changes }));
    assert.equal(isSealed(root), false, 'it has none while it is used');
    assert.deepEqual(readdirSync(held.directory), discarded.length > 0 ? [] : ['d', 'g']);
    assert.deepEqual(discarded, discarded.length > 0 ? [path.join(place(root), 'data')] : []);
    return discarded.length > 0;
  }

  test('is there when nobody uses it, and passes what was only read', async () => {
    const root = await left();
    for (const sharing of ['shared', 'locked', 'private'] as const) {
      assert.ok(isSealed(root));
      readFileSync(path.join(place(root), 'data/d/f'));
      assert.equal(await isThrownAway(root, { sharing }), false);
    }
  });

  for (const [what, change] of Object.entries({
    'a byte that was written, with the times put back': (data: string) => {
      const { atime, mtime } = statSync(path.join(data, 'd/f'));
      writeFileSync(path.join(data, 'd/f'), 'sOme');
      utimesSync(path.join(data, 'd/f'), atime, mtime);
    },
    'a file that is gone': (data: string) => rmSync(path.join(data, 'g')),
    'a file that was cut': (data: string) => writeFileSync(path.join(data, 'g'), ''),
    'a file that was added': (data: string) => writeFileSync(path.join(data, 'd/h'), ''),
  })) {
    test(`shows ${what}: then the cache starts anew, once`, async () => {
      for (const sharing of ['shared', 'locked'] as const) {
        const root = await left();
        change(path.join(place(root), 'data'));
        assert.equal(await isThrownAway(root, { sharing }), true);
        await using held = await takeCache(root, request());
        assert.deepEqual(readdirSync(held.directory), []);
      }
    });
  }

  test('says nothing of a copy, of what a version without seals used, and where it is missing or another text', async () => {
    const root = await left();
    const copy = makeRoot();
    execFileSync('cp', ['-a', path.join(root, 'cache'), copy]);
    assert.equal(await isThrownAway(copy), false);
    const older = await left();
    const lock = path.join(place(older), 'lock');
    // Later by more than the millisecond in which all this may have been.
    const later = new Date(Date.now() + 1000);
    utimesSync(lock, later, later);
    writeFileSync(path.join(place(older), 'data/g'), 'by another version');
    assert.equal(await isThrownAway(older), false);
    for (const unseal of ['rm "$0"', 'ln -sfn 2:x:y "$0"', 'rm "$0"; : > "$0"']) {
      const killed = await left();
      execFileSync('sh', ['-c', unseal, path.join(place(killed), 'seal')]);
      writeFileSync(path.join(place(killed), 'data/g'), 'what a killed step wrote');
      assert.equal(await isThrownAway(killed), false);
      assert.ok(isSealed(killed));
    }
  });

  test('is written by the last of those who share, and not by who is interrupted', async () => {
    const root = await left();
    const [first, second] = await Promise.all([takeCache(root, request()), takeCache(root, request())]);
    await first[Symbol.asyncDispose]();
    assert.equal(isSealed(root), false);
    writeFileSync(path.join(second.directory, 'd/f'), 'by the second');
    await second[Symbol.asyncDispose]();
    assert.ok(isSealed(root));
    assert.equal(await isThrownAway(root), false);
    const stop = new AbortController();
    const interrupted = await takeCache(root, request({ signal: stop.signal }));
    stop.abort();
    await interrupted[Symbol.asyncDispose]();
    assert.equal(isSealed(root), false);
    assert.equal(await isThrownAway(root), false);
  });

  test('lets two who share a new cache, or one that is sealed, use it at once', async () => {
    for (const root of [makeRoot(), await left()]) {
      const both = await Promise.all([takeCache(root, request()), takeCache(root, request()), takeCache(root, request())]);
      for (const held of both) await held[Symbol.asyncDispose]();
      assert.ok(isSealed(root));
    }
  });

  test('is compared by who exports the cache, too, and stays', async () => {
    const root = await left();
    const waiting = { signal: new AbortController().signal, onWait: () => assert.fail('It waits') };
    const hold = async (discard: (directory: string) => void) => {
      using held = await holdCache(root, NAME, { ...waiting, discard });
      return held !== undefined;
    };
    assert.equal(await hold(() => assert.fail('It is as it was left')), true);
    assert.ok(isSealed(root));
    writeFileSync(path.join(place(root), 'data/g'), 'else');
    assert.equal(await hold((directory) => rmSync(directory, { recursive: true })), false);
    assert.equal(await hold(() => assert.fail('It is not there')), false);
    await using held = await takeCache(root, request());
    assert.deepEqual(readdirSync(held.directory), []);
  });
});
