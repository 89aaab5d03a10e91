import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BuildEvent } from '../../src/events.ts';
import { applyChanges } from '../../src/layers/apply-changes.ts';
import { openMergedTree } from '../../src/snapshots/merged-tree.ts';
import type { Snapshotter } from '../../src/snapshots/snapshotter.ts';
import type { AddChange, Change } from '../../src/tree/change.ts';
import { b, type Dumped, dumpTree, type Operation, startDriver, temporaryDirectory, temporarySnapshotter } from './_overlay.ts';

const driver = startDriver();
const NODE = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 1_000_000_000n, ctimeNs: 0n } as const;

function file(path: string, text = path): AddChange {
  const bytes = Buffer.from(text, 'latin1');
  return { kind: 'add', path: b(path), node: { ...NODE, size: bytes.length }, xattrs: new Map(), content: { kind: 'bytes', bytes } };
}

function directory(path: string, mode = 0o755): AddChange {
  return { kind: 'add', path: b(path), node: { ...NODE, type: 'directory', mode }, xattrs: new Map() };
}

function symlink(path: string, target: string): AddChange {
  return { kind: 'add', path: b(path), node: { ...NODE, type: 'symlink', mode: 0o777, linkTarget: b(target) }, xattrs: new Map() };
}

function hardLink(path: string, target: string): AddChange {
  return { kind: 'add', path: b(path), node: NODE, xattrs: new Map(), hardLinkTo: b(target) };
}

function gone(path: string): Change {
  return { kind: 'delete', path: b(path) };
}

function opaque(path: string): Change {
  return { kind: 'opaque', path: b(path) };
}

let count = 0;

/** The merged tree of `changes` on what `base` made, by path; as a mount shows it, which the user-space view must equal. */
async function applied(base: readonly Operation[], changes: readonly Change[]): Promise<Map<string, Dumped>> {
  const snapshots = temporarySnapshotter();
  const parent = await made(snapshots, base);
  const active = snapshots.prepare(parent);
  using lower = snapshots.tree(parent);
  await applyChanges(changes, active.upperFd, { lower });
  using view = snapshots.activeTree(active);
  const seen = dumpTree(view);
  assert.deepEqual(await driver.run(snapshots, active, []), seen);
  return new Map(seen.map((entry) => [entry.path, entry]));
}

async function made(snapshots: Snapshotter, ops: readonly Operation[]): Promise<string> {
  const active = snapshots.prepare(undefined);
  await driver.run(snapshots, active, ops);
  return snapshots.commit(active, `base-${count++}`).name;
}

const LINKED: Operation[] = [
  ['mkdir', 'run', 0],
  ['chmod', 'run', 0o3711],
  ['utime', 'run', 42],
  ['mkdir', 'var', 0],
  ['symlink', 'var/run', '/run'],
  ['symlink', 'up', '../../../run'],
  ['symlink', 'loop', 'loop'],
  ['write', 'f', 'in f'],
  ['mkdir', 'd', 0],
  ['write', 'd/x', 'x'],
  ['mkdir', 'd/deep', 0],
  ['write', 'd/deep/y', 'y'],
];

test('applyChanges() writes through links of lower layers to their targets inside the root, and copies directories up', async () => {
  const tree = await applied(LINKED, [file('var/run/pid'), file('up/other')]);
  assert.equal(tree.get('var/run')?.type, 'symlink');
  assert.deepEqual([tree.get('run/pid')?.type, tree.get('run/other')?.type], ['file', 'file']);
  assert.deepEqual([tree.get('run')?.mode, tree.get('run')?.mtime], [0o3711, '42']);
});

test('applyChanges() follows links of its own layer, makes what they lead to, and gives implied directories 0755 root', async () => {
  const mask = process.umask(0o777);
  try {
    const tree = await applied([], [symlink('l', '/not/yet'), file('l/f'), file('p/q/r')]);
    assert.equal(tree.get('not/yet/f')?.type, 'file');
    assert.deepEqual([tree.get('p/q')?.mode, tree.get('p/q')?.uid, tree.get('p/q/r')?.mode], [0o755, 0, 0o644]);
  } finally {
    process.umask(mask);
  }
});

test('applyChanges() sees a directory replaced by a link within one layer', async () => {
  const tree = await applied([['mkdir', 'target', 0]], [directory('a'), file('a/one'), symlink('a', 'target'), file('a/two')]);
  assert.equal(tree.get('a')?.type, 'symlink');
  assert.equal(tree.get('target/two')?.type, 'file');
  assert.equal(tree.has('a/one') || tree.has('target/one'), false);
});

test('applyChanges() lets deletions be about lower layers only, in any order', async () => {
  const orders = [
    [opaque('d'), file('d/new'), gone('f'), file('f', 'new f'), gone('d/x')],
    [file('d/new'), gone('d/x'), opaque('d'), file('f', 'new f'), gone('f')],
    [gone('d'), file('d/new'), gone('f'), file('f', 'new f')],
    [file('d/new'), gone('d'), file('f', 'new f'), gone('f')],
  ];
  for (const [i, changes] of orders.entries()) {
    const tree = await applied(LINKED, changes);
    const inD = [...tree.keys()].filter((path) => path.startsWith('d/'));
    assert.deepEqual(inD, ['d/new'], `order ${i}`);
    assert.equal(tree.get('f')?.size, 5, `order ${i}`);
  }
});

test('applyChanges() does not show lower files under a directory that replaces a file of the same layer', async () => {
  const tree = await applied(LINKED, [file('d'), directory('d'), file('d/new')]);
  assert.deepEqual(
    [...tree.keys()].filter((path) => path.startsWith('d/')),
    ['d/new'],
  );
});

test('applyChanges() makes no whiteout of what is not there, and one whatever it is below without a lower tree', async () => {
  const upper = temporaryDirectory();
  const fd = openSync(upper, constants.O_RDONLY);
  using nothing = openMergedTree({ layers: [], top: 'fixed' });
  await applyChanges([gone('a'), gone('b/c')], fd, { lower: nothing });
  assert.equal(execFileSync('find', [upper, '-type', 'c'], { encoding: 'utf8' }), '');
  await applyChanges([gone('a')], fd);
  assert.match(execFileSync('find', [upper, '-type', 'c'], { encoding: 'utf8' }), /\/a\n/);
  closeSync(fd);
});

test('applyChanges() links to files of this layer, of lower layers, and to links themselves', async () => {
  const tree = await applied(LINKED, [
    hardLink('h1', 'f'),
    file('own'),
    hardLink('d/h2', 'own'),
    hardLink('h3', 'var/run'),
    hardLink('own', 'own'),
  ]);
  assert.equal(tree.get('h1')?.inode, 'f');
  assert.equal(tree.get('own')?.inode, 'd/h2');
  assert.equal(tree.get('h3')?.target, '/run');
});

test('applyChanges() sets the mode after the owner and the capability after both', async () => {
  const capability = Buffer.from('010000020020000000000000ff00000000000000', 'hex');
  const change = {
    ...file('ping'),
    node: { ...NODE, size: 4, mode: 0o6755, uid: 7, gid: 8 },
    xattrs: new Map([['security.capability', capability]]),
  };
  const entry = (await applied([], [change])).get('ping');
  assert.deepEqual([entry?.mode, entry?.uid, entry?.xattrs], [0o6755, 7, { 'security.capability': capability.toString('hex') }]);
});

const REFUSED: Record<string, Change[]> = {
  'a file as the root': [{ ...file(''), path: b('') }],
  'a deleted root': [gone('')],
  'a file as a parent': [file('a'), file('a/b')],
  'a file of a lower layer as a parent': [file('f/b')],
  'a loop of links as a parent': [file('loop/b')],
  'a hard link to nothing': [hardLink('a', 'no')],
  'a hard link to a directory': [hardLink('a', 'd')],
  'a hard link to a whiteout': [gone('f'), hardLink('a', 'f')],
  'the device 0:0': [{ kind: 'add', path: b('f'), node: { ...NODE, type: 'char', device: { major: 0, minor: 0 } }, xattrs: new Map() }],
};

for (const [name, changes] of Object.entries(REFUSED)) {
  test(`applyChanges() refuses ${name}`, async () => {
    await assert.rejects(applied(LINKED, changes), { code: 'ERR_TSBUILD_LAYER_INVALID' });
  });
}

test('applyChanges() gives a file its own owner and mode whatever its directory and the umask give to new files', async () => {
  const shared = directory('shared', 0o2775);
  const of = (change: AddChange, node: Partial<AddChange['node']>): AddChange => ({ ...change, node: { ...change.node, ...node } });
  const umask = process.umask(0o077);
  try {
    const tree = await applied(
      [],
      [
        of(shared, { gid: 50 }),
        file('shared/root'),
        of(file('shared/kept'), { gid: 50, mode: 0o640 }),
        of(file('shared/set'), { uid: 7, gid: 8, mode: 0o6755 }),
        of(file('shared/none'), { mode: 0 }),
      ],
    );
    const facts = (path: string) => {
      const { uid, gid, mode, mtime } = tree.get(path) ?? assert.fail(path);
      return [uid, gid, mode.toString(8), mtime];
    };
    assert.deepEqual(facts('shared/root'), [0, 0, '644', String(NODE.mtimeNs)]);
    assert.deepEqual(facts('shared/kept'), [0, 50, '640', String(NODE.mtimeNs)]);
    assert.deepEqual(facts('shared/set'), [7, 8, '6755', String(NODE.mtimeNs)]);
    assert.deepEqual(facts('shared/none'), [0, 0, '0', String(NODE.mtimeNs)]);
  } finally {
    process.umask(umask);
  }
});

test('applyChanges() copies exactly as many bytes as the node says, of small files and large ones', async () => {
  const source = join(temporaryDirectory(), 'source');
  const copied = (path: string, size: number): AddChange => ({
    ...file(path),
    node: { ...NODE, size },
    content: { kind: 'file', open: () => openSync(source, constants.O_RDONLY) },
  });
  for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    writeFileSync(source, Buffer.alloc(size, 'abc'));
    const tree = await applied([], [copied('f', size)]);
    assert.equal(tree.get('f')?.size, size);
    for (const wrong of [size - 1, size + 1]) {
      if (wrong >= 0) await assert.rejects(applied([], [copied('f', wrong)]), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
    }
  }
});

test('X35 applyChanges() keeps holes', async () => {
  const upper = temporaryDirectory();
  const source = join(temporaryDirectory(), 'sparse');
  writeFileSync(source, 'x');
  truncateSync(source, 64 << 20);
  const size = 64 << 20;
  async function* chunks() {
    yield Buffer.from('x');
    for (let left = size - 1; left > 0; left -= 1 << 20) yield Buffer.alloc(Math.min(left, 1 << 20));
  }
  const fd = openSync(upper, constants.O_RDONLY);
  await applyChanges([{ ...file('f'), node: { ...NODE, size }, content: { kind: 'stream', chunks } }], fd);
  closeSync(fd);
  const [blocks, bytes] = execFileSync('stat', ['-c', '%b %s', join(upper, 'f')], { encoding: 'utf8' })
    .split(' ')
    .map(Number);
  assert.equal(bytes, size);
  assert.ok((blocks ?? 0) * 512 < 1 << 20, `${blocks} blocks`);
});

const NOTE = Buffer.from('hello');

function noted(change: AddChange, key = 'user.note', value = NOTE): AddChange {
  return { ...change, xattrs: new Map([...change.xattrs, [key, value]]) };
}

/** What is told of `changes` in a directory. */
async function lossesOf(changes: readonly Change[], directory = temporaryDirectory()): Promise<string[]> {
  const told: BuildEvent[] = [];
  const fd = openSync(directory, constants.O_RDONLY);
  try {
    await applyChanges(changes, fd, { losses: { emit: (event) => void told.push(event), of: 'layer x' } });
  } finally {
    closeSync(fd);
  }
  return told.map((event) => (event.kind === 'warning' ? event.message : assert.fail(event.kind)));
}

const LINKS = Array.from({ length: 7 }, (_, at) => noted(symlink(`d/link-${at}`, 'f')));

test('X37 applyChanges() tells once, by the first files and how many, of attributes that Linux has on no such file', async () => {
  const pipe: AddChange = { kind: 'add', path: b('pipe'), node: { ...NODE, type: 'fifo' }, xattrs: new Map() };
  const upper = temporaryDirectory();
  const told = await lossesOf([noted(file('f')), noted(directory('d')), ...LINKS, noted(pipe)], upper);
  const shown = LINKS.slice(0, 5).map(({ path }) => `/${path} (user.note: EPERM)`);
  assert.deepEqual(told, [`Left out attributes that 8 files of layer x cannot have here: ${shown.join(', ')} and 3 more`]);
  for (const name of ['f', 'd']) assert.equal(attribute(join(upper, name)), 'hello');
  assert.deepEqual(await lossesOf([noted(file('f')), noted(directory('d')), symlink('l', 'f')]), []);
});

test('X37 applyChanges() fails at the first such attribute where nobody hears of it', async () => {
  await assert.rejects(applied([], LINKS), { code: 'ERR_TSBUILD_SYSCALL_FAILED', errno: 'EPERM' });
});

test('X37 applyChanges() tells of attributes that the file system has no room for, and keeps the file', async () => {
  const upper = temporaryDirectory();
  const told = await lossesOf([noted(file('f'), 'user.large', Buffer.alloc(60_000, 1)), noted(file('g'))], upper);
  const holds = execFileSync('getfattr', ['-d', '--absolute-names', join(upper, 'f')], { encoding: 'utf8' }).includes('user.large');
  assert.deepEqual(told, holds ? [] : ['Left out attributes that 1 file of layer x cannot have here: /f (user.large: ENOSPC)']);
  assert.equal(readFileSync(join(upper, 'f'), 'utf8'), 'f');
  assert.equal(attribute(join(upper, 'g')), 'hello');
});

test('X37 applyChanges() gives a file what the description of its second name has', async () => {
  const upper = temporaryDirectory();
  assert.deepEqual(await lossesOf([file('f'), noted({ ...hardLink('g', 'f'), node: file('f').node })], upper), []);
  assert.equal(attribute(join(upper, 'f')), 'hello');
});

function attribute(path: string): string {
  return execFileSync('getfattr', ['--only-values', '--absolute-names', '-n', 'user.note', path], { encoding: 'utf8' });
}
