import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { type MountStubs, makeMountStubs, type StubRequest } from '../../src/snapshots/mount-stub.ts';
import { openSnapshotter } from '../../src/snapshots/snapshotter.ts';
import { b, type Dumped, type Operation, startDriver, tarOfActive, temporaryDirectory } from '../layers/_overlay.ts';

const driver = startDriver();
const STUBS: StubRequest[] = [
  { path: b('proc'), type: 'directory' },
  { path: b('etc/resolv.conf'), type: 'file' },
  { path: b('etc/hosts'), type: 'file' },
  { path: b('run/secrets/key'), type: 'file' },
  { path: b('var/cache/apt'), type: 'directory' },
];
const BASE: Operation[] = [
  ['mkdir', 'etc', 0],
  ['write', 'etc/hosts', 'of the image'],
  ['chmod', 'etc', 0o750],
  ['xattr', 'etc', 'v'],
  ['utime', 'etc', 77],
  ['mkdir', 'var', 0],
  ['mkdir', 'var/cache', 0],
  ['write', 'var/cache/apt-not', ''],
  ['utime', 'var/cache', 78],
  ['utime', 'var', 79],
  ['utime', '.', 80],
];

/** Stubs around a step that does `ops`; returns the tree seen in the step, the one left, and the layer's size. */
async function around(
  ops: Operation[],
  before: Operation[] = [],
): Promise<{ during: Map<string, Dumped>; left: Map<string, Dumped>; tar: Buffer; clean: Dumped[] }> {
  using snapshots = openSnapshotter(temporaryDirectory());
  const base = snapshots.prepare(undefined);
  const clean = await driver.run(snapshots, base, BASE);
  snapshots.commit(base, 'base');
  const active = snapshots.prepare('base');
  await driver.run(snapshots, active, before);
  let stubs: MountStubs;
  {
    using tree = snapshots.activeTree(active);
    stubs = makeMountStubs(active, tree, STUBS);
  }
  const during = await driver.run(snapshots, active, ops);
  stubs.remove();
  const tar = await tarOfActive(snapshots, active);
  const left = await driver.run(snapshots, active, []);
  return { during: byPath(during), left: byPath(left), tar, clean };
}

function byPath(entries: Dumped[]): Map<string, Dumped> {
  return new Map(entries.map((entry) => [entry.path, entry]));
}

test('makeMountStubs() makes targets where they are missing, and remove() leaves no trace in tree or layer', async () => {
  const { during, left, tar, clean } = await around([]);
  assert.deepEqual(
    STUBS.map(({ path }) => during.get(path)?.type),
    ['directory', 'file', 'file', 'file', 'directory'],
  );
  assert.equal(during.get('etc/hosts')?.size, 12);
  assert.deepEqual([...left.values()], clean);
  assert.equal(tar.length, 1024);
});

test('MountStubs.remove() keeps what the step made, and its times', async () => {
  const { left, during } = await around([
    ['write', 'etc/new', 'x'],
    ['write', 'run/pid', 'y'],
    ['chmod', 'var/cache', 0o700],
  ]);
  assert.deepEqual([left.get('etc/new')?.type, left.get('run/pid')?.type, left.get('run')?.type], ['file', 'file', 'directory']);
  assert.equal(left.get('etc')?.mtime, during.get('etc')?.mtime);
  assert.equal(left.get('var/cache')?.mode, 0o700);
  assert.equal(left.get('var/cache')?.mtime, '78');
  for (const path of ['proc', 'etc/resolv.conf', 'run/secrets', 'var/cache/apt']) assert.equal(left.has(path), false, path);
});

test('MountStubs.remove() keeps a stub that the step wrote to or replaced', async () => {
  const { left } = await around([
    ['write', 'etc/resolv.conf', 'mine'],
    ['replace', 'proc', 0],
    ['write', 'run/secrets/other', 'x'],
  ]);
  assert.equal(left.get('etc/resolv.conf')?.size, 4);
  assert.deepEqual([left.has('proc'), left.has('run/secrets/other'), left.has('run/secrets/key')], [true, true, false]);
});

test('MountStubs.remove() keeps what looks like a stub, to the nanosecond, and is another file', () => {
  using snapshots = openSnapshotter(temporaryDirectory());
  const active = snapshots.prepare(undefined);
  using tree = snapshots.activeTree(active);
  const stubs = makeMountStubs(active, tree, [
    { path: b('one'), type: 'directory' },
    { path: b('two'), type: 'directory' },
  ]);
  const upper = path.join(snapshots.directory, active.id, 'fs');
  execFileSync(
    'sh',
    ['-euc', 'umask 022; mkdir ../same; touch -r one ../same; mv one ../old; mv ../same one; chmod --reference=../old one'],
    {
      cwd: upper,
    },
  );
  stubs.remove();
  assert.deepEqual(tree.list(b('')), ['one']);
});

test('MountStubs.remove() puts back the deletion that a stub stood for', async () => {
  const { left, during } = await around(
    [],
    [
      ['unlink', 'etc/hosts', 0],
      ['remove', 'var', 0],
    ],
  );
  assert.deepEqual([during.get('etc/hosts')?.size, during.has('var/cache/apt'), during.has('var/cache/apt-not')], [0, true, false]);
  assert.deepEqual([left.has('etc/hosts'), left.has('var')], [false, false]);
});

test('makeMountStubs() refuses a target of another type and takes back what it had made', async () => {
  using snapshots = openSnapshotter(temporaryDirectory());
  const active = snapshots.prepare(undefined);
  await driver.run(snapshots, active, [
    ['write', 'file', 'x'],
    ['symlink', 'link', 'file'],
  ]);
  using tree = snapshots.activeTree(active);
  for (const path of ['file', 'link', 'file/below']) {
    assert.throws(
      () =>
        makeMountStubs(active, tree, [
          { path: b('first'), type: 'directory' },
          { path: b(path), type: 'directory' },
        ]),
      { code: 'ERR_TSBUILD_RUN_NOT_STARTED' },
    );
  }
  assert.deepEqual(tree.list(b('')), ['file', 'link']);
});
