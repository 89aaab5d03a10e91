import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSnapshotter, type Snapshotter } from '../../src/snapshots/snapshotter.ts';
import { UnsoundSnapshot } from '../../src/snapshots/unsound-snapshot.ts';
import { temporaryDirectory } from '../layers/_overlay.ts';

const work = temporaryDirectory();
let root: string;
/** `one` and `two` on it, each with a file of its name; `three` by itself. */
beforeEach(async () => {
  root = mkdtempSync(join(work, 'state-'));
  using snapshots = openSnapshotter(root);
  add(snapshots, 'one', undefined);
  add(snapshots, 'two', 'one');
  add(snapshots, 'three', undefined);
  // Times of files have the granularity of a tick.
  await sleep(20);
});

function add(snapshots: Snapshotter, name: string, parent: string | undefined): void {
  const active = snapshots.prepare(parent);
  writeFileSync(join(snapshots.directory, active.id, 'fs', name), name);
  snapshots.commit(active, name, { purpose: { kind: 'step', text: `RUN ${name}` } });
}

function flip(name: string): void {
  writeFileSync(join(root, 'snapshots/names', name, 'fs', name), 'X', { flag: 'r+' });
}

test('Snapshotter.check() passes what nobody has written to, and what only was read or is stood on', async () => {
  using snapshots = openSnapshotter(root);
  await snapshots.check('two');
  const active = snapshots.prepare('two');
  await snapshots.checkBelow(active);
  snapshots.commit(active, 'four');
  using again = openSnapshotter(root);
  for (const name of ['one', 'two', 'three', 'four']) await again.check(name);
  await again.check(undefined);
});

test('Snapshotter.check() takes away what was written to, with all that stands on it, and says which step made it', async () => {
  flip('one');
  using snapshots = openSnapshotter(root);
  await snapshots.check('three');
  assert.equal(snapshots.isWhole('two'), true);
  const message = 'Cannot use the files of the step RUN one, snapshot one: they have changed on the disk since they were made';
  await assert.rejects(snapshots.check('two'), { code: 'ERR_TSBUILD_STORE_INVALID', message });
  assert.deepEqual(snapshots.names(), ['three']);
  assert.equal(snapshots.isWhole('two'), false);
  // Whoever heard of it before learns why it is gone.
  assert.throws(() => snapshots.prepare('one'), UnsoundSnapshot);
});

test('Snapshotter.check() passes what was made again by the same name', async () => {
  flip('one');
  using snapshots = openSnapshotter(root);
  await assert.rejects(snapshots.check('one'), UnsoundSnapshot);
  add(snapshots, 'one', undefined);
  await snapshots.check('one');
  using again = openSnapshotter(root);
  await again.check('one');
  assert.equal(readdirSync(join(root, 'snapshots/d')).length, 2);
});

test('Snapshotter.checkBelow() says so where an active snapshot stands on such files, though they have a new name', async () => {
  flip('one');
  using snapshots = openSnapshotter(root);
  const active = snapshots.prepare('one');
  await assert.rejects(snapshots.check('one'), UnsoundSnapshot);
  add(snapshots, 'one', undefined);
  await assert.rejects(snapshots.checkBelow(active), UnsoundSnapshot);
});

for (const [what, change] of Object.entries({
  'a mode': (fs: string) => chmodSync(join(fs, 'one'), 0o600),
  'the mode of its root': (fs: string) => chmodSync(fs, 0o700),
  'a file that was added': (fs: string) => writeFileSync(join(fs, 'more'), ''),
  'a directory that was added': (fs: string) => mkdirSync(join(fs, 'more')),
})) {
  test(`Snapshotter.check() notices ${what}`, async () => {
    change(join(root, 'snapshots/names/one/fs'));
    using snapshots = openSnapshotter(root);
    await assert.rejects(snapshots.check('one'), UnsoundSnapshot);
  });
}

test('Snapshotter.check() does not look at what this process has made', async () => {
  using snapshots = openSnapshotter(root);
  add(snapshots, 'four', 'three');
  flip('four');
  await snapshots.check('four');
});
