import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openSealedJson, sealedJson } from '../../src/sealed-json.ts';
import { committedSnapshots, openSnapshotChildren, removeSnapshot } from '../../src/snapshots/committed-snapshots.ts';
import { openSnapshotter } from '../../src/snapshots/snapshotter.ts';
import { b, startDriver, temporaryDirectory } from '../layers/_overlay.ts';

const driver = startDriver();
const COMMITS = 1000;

function directories(root: string): string[] {
  return readdirSync(join(root, 'snapshots/d'));
}

test('openSnapshotter() keeps its directories from other users', () => {
  const root = temporaryDirectory();
  using _snapshots = openSnapshotter(root);
  assert.equal(statSync(join(root, 'snapshots')).mode & 0o777, 0o700);
});

test('Snapshotter.commit() makes a chain that tree() merges', async () => {
  using snapshots = openSnapshotter(temporaryDirectory());
  const first = snapshots.prepare(undefined);
  await driver.run(snapshots, first, [
    ['mkdir', 'd', 0],
    ['write', 'd/a', '1'],
    ['write', 'gone', 'x'],
    ['chmod', '.', 0o711],
  ]);
  snapshots.commit(first, 'one');
  const second = snapshots.prepare('one');
  await driver.run(snapshots, second, [
    ['write', 'd/b', '2'],
    ['unlink', 'gone', 0],
  ]);
  const committed = snapshots.commit(second, 'two');
  assert.equal(committed.parent, 'one');
  assert.deepEqual(
    snapshots.chain('two').map(({ name }) => name),
    ['one', 'two'],
  );
  using tree = snapshots.tree('two');
  assert.deepEqual([tree.list(b('')), tree.list(b('d'))], [['d'], ['a', 'b']]);
  assert.equal(tree.stat(b(''))?.mode, 0o711);
  assert.equal(tree.stat(b('gone')), undefined);
  assert.equal(tree.stat(b('d/a/below')), undefined);
  assert.throws(() => tree.list(b('d/a')), { errno: 'ENOTDIR' });
  assert.throws(() => tree.open(b('d')), { errno: 'EINVAL' });
  assert.deepEqual(snapshots.overlay(snapshots.prepare('two')).lower.length, 2);
});

test('Snapshotter.activeTree() tells at each call what the top layer shows and hides of those below it', async () => {
  using snapshots = openSnapshotter(temporaryDirectory());
  const base = snapshots.prepare(undefined);
  await driver.run(snapshots, base, [
    ['mkdir', 'd', 0],
    ['mkdir', 'd/e', 0],
    ['write', 'd/e/old', '1'],
  ]);
  snapshots.commit(base, 'base');
  const active = snapshots.prepare('base');
  const upper = join(snapshots.directory, active.id, 'fs');
  using tree = snapshots.activeTree(active);
  const seen = () => [tree.stat(b('d/e/old'))?.type, tree.stat(b('d/e/new'))?.type, tree.stat(b('d'))?.type];
  assert.deepEqual(seen(), ['file', undefined, 'directory']);
  mkdirSync(join(upper, 'd/e'), { recursive: true });
  writeFileSync(join(upper, 'd/e/new'), '2');
  assert.deepEqual(
    [seen(), tree.list(b('d/e'))],
    [
      ['file', 'file', 'directory'],
      ['new', 'old'],
    ],
  );
  execFileSync('setfattr', ['-n', 'trusted.overlay.opaque', '-v', 'y', join(upper, 'd')]);
  assert.deepEqual(seen(), [undefined, 'file', 'directory'], 'an opaque directory hides what is two levels below it');
  rmSync(join(upper, 'd'), { recursive: true });
  assert.deepEqual(seen(), ['file', undefined, 'directory']);
  execFileSync('mknod', [join(upper, 'd'), 'c', '0', '0']);
  assert.deepEqual(seen(), [undefined, undefined, undefined]);
  rmSync(join(upper, 'd'));
  writeFileSync(join(upper, 'd'), 'a file');
  assert.deepEqual(seen(), [undefined, undefined, 'file']);
});

test('Snapshotter.tree(undefined) is an empty root', () => {
  using snapshots = openSnapshotter(temporaryDirectory());
  using tree = snapshots.tree(undefined);
  assert.deepEqual([tree.list(b('')), tree.stat(b(''))?.mode, tree.stat(b('x')), tree.xattrs(b('')).size], [[], 0o755, undefined, 0]);
});

test('Snapshotter.commit() returns the other snapshot where the name is taken, and drops its own', () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  using other = openSnapshotter(root);
  const ours = snapshots.prepare(undefined);
  const theirs = other.commit(other.prepare(undefined), 'same');
  assert.equal(snapshots.commit(ours, 'same').id, theirs.id);
  assert.deepEqual(directories(root), [theirs.id]);
  snapshots.discard(ours);
});

test('removeSnapshot() leaves what a step, or a tree, is on', () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  snapshots.commit(snapshots.prepare(undefined), 'base');
  const taken: string[] = [];
  const take = (directory: string): boolean => {
    taken.push(directory);
    rmSync(directory, { recursive: true });
    return true;
  };
  const remove = (): boolean[] => committedSnapshots(root).map((snapshot) => removeSnapshot(root, snapshot, take));
  const active = snapshots.prepare('base');
  assert.deepEqual(remove(), [false]);
  snapshots.discard(active);
  {
    using _tree = snapshots.tree('base');
    assert.deepEqual(remove(), [false]);
  }
  const [seen] = committedSnapshots(root);
  assert.ok(seen);
  assert.deepEqual(remove(), [true]);
  assert.deepEqual(taken, [seen.directory]);
  assert.equal(removeSnapshot(root, seen, take), false, 'it is gone');
  snapshots.commit(snapshots.prepare(undefined), 'base');
  assert.equal(removeSnapshot(root, seen, take), false, 'another one has its name by now');
  assert.deepEqual(remove(), [true]);
  assert.deepEqual([snapshots.names(), directories(root), snapshots.get('base')], [[], [], undefined]);
  assert.throws(() => snapshots.prepare('base'), { code: 'ERR_TSBUILD_STORE_INVALID' });
});

test('SnapshotChildren tell what others are built on, as it is at each refresh', () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  snapshots.commit(snapshots.prepare(undefined), 'base');
  const children = openSnapshotChildren(root);
  const base = { base: 'snapshots', name: 'base' };
  children.refresh();
  assert.equal(children.has(base), false);
  snapshots.commit(snapshots.prepare('base'), 'top');
  children.refresh();
  assert.equal(children.has(base), true);
  const top = committedSnapshots(root).find(({ name }) => name === 'top');
  assert.ok(top);
  assert.ok(removeSnapshot(root, top, () => true));
  children.refresh();
  assert.equal(children.has(base), false);
});

test('Snapshotter pins a name before it looks whether it is there', () => {
  const root = temporaryDirectory();
  const pins: string[] = [];
  using snapshots = openSnapshotter(root, (name) => pins.push(name));
  assert.equal(snapshots.get('none'), undefined);
  snapshots.commit(snapshots.prepare(undefined), 'base');
  snapshots.commit(snapshots.prepare('base'), 'top');
  assert.deepEqual(new Set(pins), new Set(['none', 'base', 'top']));
});

test('openSnapshotter() removes what a killed process left and nothing that a living one works on', () => {
  const root = temporaryDirectory();
  using living = openSnapshotter(root);
  const active = living.prepare(undefined);
  living.commit(living.prepare(undefined), 'kept');
  const module = new URL('../../src/snapshots/snapshotter.js', import.meta.url).href;
  const script = `import { openSnapshotter } from '${module}'; openSnapshotter('${root}').prepare('kept'); process.kill(process.pid, 'SIGKILL');`;
  assert.throws(() => execFileSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' }));
  assert.equal(directories(root).length, 3);
  using _again = openSnapshotter(root);
  assert.deepEqual(new Set(directories(root)), new Set([active.id, living.get('kept')?.id]));
  living.commit(active, 'late');
});

test('Snapshotter.commit() makes a snapshot that another process can stand on at the moment at which it has a name', async () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  const module = new URL('../../src/snapshots/snapshotter.js', import.meta.url).href;
  const script = `import { openSnapshotter } from '${module}';
    const snapshots = openSnapshotter('${root}');
    console.log('ready');
    for (let number = 0; number < ${COMMITS}; number++) {
      while (snapshots.get('at-once-' + number) === undefined);
      snapshots.discard(snapshots.prepare('at-once-' + number));
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  for (let number = 0; number < COMMITS && child.exitCode === null; number++) {
    snapshots.commit(snapshots.prepare(undefined), `at-once-${number}`);
    await nextTurn();
  }
  assert.deepEqual(await ended, [0, null]);
});

test('openSnapshotter() drops snapshots of another boot, with what is built on them', () => {
  const root = temporaryDirectory();
  const boot = join(root, 'snapshots/boot');
  {
    using snapshots = openSnapshotter(root);
    for (const [name, parent] of [
      ['a', undefined],
      ['b', 'a'],
      ['c', 'b'],
    ] as const)
      snapshots.commit(snapshots.prepare(parent), name);
    const path = join(root, 'snapshots/names/b/info.json');
    writeFileSync(path, sealedJson({ ...openSealedJson(readFileSync(path, 'utf8')), bootId: 'another-boot' }));
    writeFileSync(boot, 'another-boot');
  }
  using snapshots = openSnapshotter(root);
  assert.deepEqual(snapshots.names(), ['a']);
  assert.equal(directories(root).length, 1);
});

test('Snapshotter.get() does not count a snapshot whose info was torn, and commit() replaces a name that leads nowhere', () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  mkdirSync(join(root, 'snapshots/d/tornaaaa'));
  writeFileSync(join(root, 'snapshots/d/tornaaaa/info.json'), '{"name":');
  symlinkSync('../d/tornaaaa', join(root, 'snapshots/names/torn'));
  symlinkSync('../d/nowhere0', join(root, 'snapshots/names/nowhere'));
  snapshots.commit(snapshots.prepare(undefined), 'other');
  symlinkSync(readlinkSync(join(root, 'snapshots/names/other')), join(root, 'snapshots/names/astray'));
  assert.deepEqual(
    ['torn', 'nowhere', 'astray'].map((name) => snapshots.get(name)),
    [undefined, undefined, undefined],
  );
  snapshots.commit(snapshots.prepare('other'), 'above');
  assert.ok(snapshots.isWhole('above'));
  rmSync(join(root, 'snapshots/names/other/fs'), { recursive: true });
  using later = openSnapshotter(root);
  assert.deepEqual(
    ['other', 'above', 'none'].map((name) => later.isWhole(name)),
    [false, false, false],
  );
  assert.equal(snapshots.commit(snapshots.prepare(undefined), 'nowhere').name, 'nowhere');
  assert.throws(() => snapshots.get('../d'), /Not a snapshot name/);
});

test('Snapshotter.discard() removes a work directory as the kernel leaves it', async () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  const active = snapshots.prepare(undefined);
  await driver.run(snapshots, active, [['write', 'f', 'x']]);
  assert.ok(existsSync(join(root, 'snapshots/d', active.id, 'work/work')));
  snapshots.discard(active);
  snapshots.discard(active);
  assert.deepEqual(directories(root), []);
});

test('Snapshotter.commit() gives no name while a collection looks at names and directories', async () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  const active = snapshots.prepare(undefined);
  const look = 'echo held; sleep 0.5; ls "$1"; echo done';
  const collection = spawn('flock', [join(root, 'snapshots/lock'), 'sh', '-c', look, 'sh', join(root, 'snapshots/names')]);
  let seen = '';
  collection.stdout.on('data', (data) => {
    seen += String(data);
  });
  const ended = new Promise((resolve) => collection.once('close', resolve));
  await new Promise((resolve) => collection.stdout.once('data', resolve));
  snapshots.commit(active, 'one');
  await ended;
  assert.equal(seen, 'held\ndone\n');
  assert.deepEqual(snapshots.names(), ['one']);
});
