import assert from 'node:assert/strict';
import { constants, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type CopyPlan, copyChanges } from '../../src/builder/execute/copy-changes.ts';
import { findSources } from '../../src/builder/execute/find-sources.ts';
import { openDirectoryContext } from '../../src/context/directory-context.ts';
import { applyAndPack } from '../../src/layers/apply-and-pack.ts';
import { applyChanges } from '../../src/layers/apply-changes.ts';
import { type Compression, compressionOf, GZIP } from '../../src/layers/compress.ts';
import { overlayDiff } from '../../src/layers/overlay-diff.ts';
import { type PackedLayer, packLayer } from '../../src/layers/pack-layer.ts';
import { openMergedTree } from '../../src/snapshots/merged-tree.ts';
import type { AddChange, Change, Changeset } from '../../src/tree/change.ts';
import type { FileNode, FileTree } from '../../src/tree/file-tree.ts';
import { b, dumpTree, temporaryDirectory, temporarySnapshotter } from './_overlay.ts';

const snapshots = temporarySnapshotter();
let count = 0;
const DROP = { write: () => {} };
const NODE: FileNode = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 1_700_000_000_123_456_789n, ctimeNs: 0n };

function entry(name: string, node: Partial<FileNode> = {}, more: Partial<AddChange> & { bytes?: Buffer } = {}): AddChange {
  const { bytes = Buffer.alloc(0), ...rest } = more;
  const made = { ...NODE, ...node, size: (node.type ?? 'file') === 'file' ? bytes.length : 0 };
  const hasContent = made.type === 'file' && rest.hardLinkTo === undefined;
  return {
    ...{ kind: 'add', path: b(name), node: made, xattrs: new Map() },
    ...(hasContent ? { content: { kind: 'bytes', bytes } } : {}),
    ...rest,
  };
}

const file = (name: string, text = '', node: Partial<FileNode> = {}): AddChange => entry(name, node, { bytes: Buffer.from(text) });
const directory = (name: string, node: Partial<FileNode> = {}): AddChange => entry(name, { type: 'directory', mode: 0o755, ...node });

/** A tree on the disk with these files. */
async function treeOf(changes: readonly Change[]): Promise<FileTree & Disposable> {
  const fd = openSync(temporaryDirectory(), constants.O_RDONLY | constants.O_DIRECTORY);
  await applyChanges(changes, fd);
  return openMergedTree({ layers: [fd], top: 'fixed' });
}

async function snapshotOf(changes: readonly Change[]): Promise<string> {
  const active = snapshots.prepare(undefined);
  await applyChanges(changes, active.upperFd);
  return snapshots.commit(active, `base-${count++}`).name;
}

interface How {
  readonly parent?: string | undefined;
  readonly compression?: Compression;
  readonly clampTimeSeconds?: number | undefined;
}

/** What was packed on the way, and what packing afterwards gives; the files are those of `applyChanges`. */
async function bothWays(
  changes: (lower: FileTree) => Changeset,
  { parent, compression = GZIP, clampTimeSeconds }: How = {},
): Promise<{ early: PackedLayer | undefined; later: PackedLayer }> {
  using lower = snapshots.tree(parent);
  const [active, plain] = [snapshots.prepare(parent), snapshots.prepare(parent)];
  const pack = (found: Changeset) => packLayer(found, DROP, { compression, clampTimeSeconds });
  const early = await applyAndPack(changes(lower), active.upperFd, { lower }, pack);
  const later = await pack(overlayDiff(active.upperFd, lower));
  await applyChanges(changes(lower), plain.upperFd, { lower });
  {
    using written = snapshots.activeTree(active);
    using expected = snapshots.activeTree(plain);
    assert.deepEqual(dumpTree(written), dumpTree(expected));
  }
  snapshots.discard(active);
  snapshots.discard(plain);
  return { early, later };
}

async function copied(
  from: FileTree,
  paths: readonly string[],
  plan: Partial<CopyPlan> & Pick<CopyPlan, 'destination'>,
  layout: 'flat' | 'parents' = 'flat',
): Promise<(into: FileTree) => Changeset> {
  const sources = await findSources(from, { paths, layout, exclude: [], missing: 'error' }, () => 'not there');
  return (into) => copyChanges({ from, sources, into, owner: undefined, chmod: undefined, createdNs: 0n, ...plan });
}

async function isEarly(changes: (lower: FileTree) => Changeset, how: How = {}): Promise<void> {
  const { early, later } = await bothWays(changes, how);
  assert.deepEqual(early, later);
}

async function isLater(changes: (lower: FileTree) => Changeset, how: How = {}): Promise<void> {
  assert.equal((await bothWays(changes, how)).early, undefined);
}

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const SHAPES: readonly AddChange[] = [
  directory('a', { mode: 0o2750 }),
  file('a/a', 'x'),
  file('a/b', 'in a'),
  file('a.b', 'sorts after all of a'),
  file('a\xff', 'no UTF-8'),
  directory('deep'),
  directory('deep/er'),
  directory('deep/er/empty', { mtimeNs: -1_500_000_000n }),
  entry('dev', { type: 'char', mode: 0o600, device: { major: 1, minor: 3 } }),
  entry('fifo', { type: 'fifo' }),
  file('hard', 'shared', { mode: 0o4711 }),
  entry('hard2', {}, { hardLinkTo: b('hard') }),
  entry('large', {}, { bytes: Buffer.alloc(3_000_001, 'large ') }),
  file('late', '', { mtimeNs: 4_000_000_000_000_000_000n }),
  entry('link', { type: 'symlink', mode: 0o777, linkTarget: b('a/b') }),
  entry('link2', { type: 'symlink', mode: 0o777, linkTarget: b('x/'.repeat(300)) }),
  file('n'.repeat(250), 'a long name'),
  file('owned', 'x', { uid: 3_000_000, gid: 12, mode: 0o6755 }),
  entry('ping', { mode: 0o755 }, { bytes: Buffer.from('elf'), xattrs: new Map([['security.capability', CAPABILITY]]) }),
  ...[511, 512, 513, 65_535, 65_536, 65_537, 131_073].map((size) =>
    entry(`size-${size}`.padEnd(20), { mode: 0o664 }, { bytes: Buffer.alloc(size, `${size} `) }),
  ),
  directory('xattrs', { uid: 5 }),
  entry('xattrs/f', {}, { bytes: Buffer.from('x'), xattrs: new Map([['user.k', Buffer.from([0, 255])]]) }),
].sort((one, other) => (one.path.replaceAll('/', '\0') < other.path.replaceAll('/', '\0') ? -1 : 1));

describe('applyAndPack() packs what packing the snapshot afterwards gives', () => {
  test('for files of every kind', async () => {
    using from = await treeOf(SHAPES);
    await isEarly(await copied(from, ['.'], { destination: '/' }));
    await isEarly(await copied(from, ['.'], { destination: '/new/path/' }));
    await isEarly(await copied(from, ['.'], { destination: '/app', owner: { uid: 7, gid: 8 }, chmod: 0o640 }));
    await isEarly(await copied(from, ['deep/er', 'hard'], { destination: '/app/' }, 'parents'));
    await isEarly(await copied(from, ['a.b', 'hard', 'large'], { destination: '/files/' }));
    await isEarly(await copied(from, ['.'], { destination: '/app' }), { clampTimeSeconds: 1_600_000_000 });
  });

  test('in every compression', async () => {
    // The index of an eStargz has no other names.
    using from = await treeOf(SHAPES.filter(({ path: at }) => !/[\x80-\xff]/.test(at)));
    for (const type of ['uncompressed', 'zstd', 'estargz'] as const)
      await isEarly(await copied(from, ['.'], { destination: '/app' }), { compression: compressionOf(type) });
  });

  test('where the files are there already, in part as they are', async () => {
    using from = await treeOf(SHAPES);
    const changed = SHAPES.map((change) =>
      change.path === 'a/b' || change.path === 'large' ? { ...change, node: { ...change.node, mode: 0o600 } } : change,
    );
    const placed = changed.map((change) => ({
      ...{ ...change, path: b(`app/${change.path}`) },
      ...(change.hardLinkTo === undefined ? {} : { hardLinkTo: b(`app/${change.hardLinkTo}`) }),
    }));
    const parent = await snapshotOf([directory('app', { uid: 9, mode: 0o700 }), ...placed.filter(({ path: at }) => !/hard/.test(at))]);
    await isEarly(await copied(from, ['.'], { destination: '/app' }), { parent });
    await isEarly(await copied(from, ['.'], { destination: '/app', existing: 'leave' }), { parent });
    await isEarly(await copied(from, ['a'], { destination: '/app/a' }), { parent });
    await isEarly(await copied(from, ['a'], { destination: '/app/deep/er/x' }), { parent });
  });

  test('where a directory gives new files attributes', async () => {
    using from = await treeOf([file('f', 'x', { mode: 0o640 })]);
    // acl(5): user::rwx user:1000:rwx group::r-x mask::rwx other::r-x
    const acl = Buffer.from('0200000001000700ffffffff02000700e803000004000500ffffffff10000700ffffffff20000500ffffffff', 'hex');
    const parent = await snapshotOf([{ ...directory('app'), xattrs: new Map([['system.posix_acl_default', acl]]) }]);
    await isEarly(await copied(from, ['.'], { destination: '/app' }), { parent });
  });

  test('on a context, with rules, a hole and more files than a chunk holds', async () => {
    const dir = temporaryDirectory();
    mkdirSync(path.join(dir, 'src'));
    for (let i = 0; i < 400; i++) writeFileSync(path.join(dir, 'src', `f${i}`), `${i} `.repeat(1 + ((i * 7919) % 9000)));
    writeFileSync(path.join(dir, 'sparse'), '');
    truncateSync(path.join(dir, 'sparse'), 5 << 20);
    using from = openDirectoryContext(dir, { file: '.dockerignore', rules: [] });
    await isEarly(await copied(from, ['.'], { destination: '/app' }));
  });

  test('of several at the same time', async () => {
    const all = await Promise.all(
      ['x', 'y', 'z'].map(async (letter) => {
        const made = Array.from({ length: 300 }, (_, i) => file(`f${i}`.padStart(5), letter.repeat(10 + 37 * i)));
        using from = await treeOf(made.toSorted((one, other) => (one.path < other.path ? -1 : 1)));
        return await bothWays(await copied(from, ['.'], { destination: '/' }));
      }),
    );
    for (const { early, later } of all) assert.deepEqual(early, later);
  });

  test('of random trees on random trees', async () => {
    let early = 0;
    const runs = Number(process.env.TSBUILD_TEST_RUNS ?? 60);
    await fc.assert(
      fc.asyncProperty(
        trees,
        trees,
        fc.constantFrom('/', '/a', '/a/b', '/new/'),
        fc.boolean(),
        async (source, base, destination, chowns) => {
          using from = await treeOf(source);
          const parent = base.length === 0 ? undefined : await snapshotOf(base);
          const owner = chowns ? { uid: 1, gid: 2 } : undefined;
          const changes = await copied(from, ['.'], { destination, owner });
          try {
            const packed = await bothWays(changes, { parent });
            if (packed.early === undefined) return;
            early++;
            assert.deepEqual(packed.early, packed.later);
          } catch (error) {
            // A directory over a file, a loop of links.
            if (!(error instanceof Error && 'code' in error && /COPY_CONFLICT|PATH_ESCAPE/.test(String(error.code)))) throw error;
          }
        },
      ),
      { numRuns: runs },
    );
    assert.ok(early > runs / 3, `${early} of ${runs}`);
  });
});

const NAMES = ['a', 'a.b', 'b', 'a-', '\xc3\xa9', 'z'];
const nodes = fc.record({
  type: fc.constantFrom('file', 'file', 'file', 'directory', 'directory', 'symlink', 'fifo'),
  mode: fc.constantFrom(0o644, 0o755, 0o4755, 0o664),
  uid: fc.constantFrom(0, 1),
  mtimeNs: fc.constantFrom(0n, 1_000_000_000n, 1_700_000_000_000_000_001n),
  text: fc.constantFrom('', 'x', 'y', 'x'.repeat(512), 'x'.repeat(70_000)),
  isLinked: fc.constantFrom(false, false, false, true),
  hasXattr: fc.constantFrom(false, false, true),
});

/** Changes that make a tree, each directory before what is in it. */
const trees = fc
  .array(fc.tuple(fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }), nodes), { maxLength: 12 })
  .map((entries) => {
    const made = new Map<string, AddChange>();
    for (const [names, { text, isLinked, hasXattr, ...node }] of entries) {
      const at = names.join('/');
      const parents = names.slice(0, -1).map((_, depth) => names.slice(0, depth + 1).join('/'));
      if (made.has(at) || parents.some((parent) => (made.get(parent)?.node.type ?? 'directory') !== 'directory')) continue;
      for (const parent of parents) if (!made.has(parent)) made.set(parent, directory(parent));
      const other = [...made.values()].find(({ node: { type }, hardLinkTo }) => type === 'file' && hardLinkTo === undefined);
      const linkTarget = node.type === 'symlink' ? { linkTarget: b('z') } : {};
      const xattrs = new Map(hasXattr && (node.type === 'file' || node.type === 'directory') ? [['user.k', Buffer.from('v')]] : []);
      if (isLinked && other !== undefined) made.set(at, { ...entry(at, other.node, { hardLinkTo: other.path }), xattrs: other.xattrs });
      else made.set(at, entry(at, { ...node, ...linkTarget }, { bytes: Buffer.from(text), xattrs }));
    }
    return [...made.values()];
  });

describe('applyAndPack() leaves packing for later', () => {
  test('where changes come in another order, twice, or are deletions', async () => {
    await isLater(() => [file('b'), file('a')]);
    await isLater(() => [directory('a'), file('a.b'), file('a/b')]);
    await isLater(() => [file('a', '1'), file('a', '2')]);
    await isLater(() => [directory('d'), file('d/f'), directory('d', { uid: 1 })]);
    const parent = await snapshotOf([file('gone')]);
    await isLater(() => [{ kind: 'delete', path: b('gone') }], { parent });
  });

  test('where a link leads elsewhere, or changes what was told of its first name', async () => {
    const parent = await snapshotOf([directory('d'), entry('l', { type: 'symlink', mode: 0o777, linkTarget: b('d') }), file('same', 'x')]);
    await isLater(() => [file('l/f')], { parent });
    await isLater(() => [file('a', 'x'), entry('b', { mode: 0o600 }, { hardLinkTo: b('a') })]);
    await isLater(() => [file('same', 'x'), entry('z', {}, { hardLinkTo: b('same') })], { parent });
    await isLater(() => [entry('z', {}, { hardLinkTo: b('same') })], { parent });
  });

  test('where packing fails, and writes all the same', async () => {
    const pack = (found: Changeset) => packLayer(found, DROP, { compression: GZIP });
    const full = { write: () => Promise.reject(new Error('full')) };
    const [large, other] = ['large', 'other'].map((name) => entry(name, {}, { bytes: Buffer.alloc(20 << 20, name) }));
    for (const [changes, packing] of [
      [[file('.wh.x'), file('y')], pack],
      [[file('a', 'x'), file('b', 'y')], () => Promise.reject(new Error('at once'))],
      [[large, other], (found: Changeset) => packLayer(found, full, { compression: GZIP })],
      [[file('a'), file('b')], async (found: AsyncIterable<Change>) => await found[Symbol.asyncIterator]().next()],
    ] as [AddChange[], typeof pack][]) {
      using lower = snapshots.tree(undefined);
      const active = snapshots.prepare(undefined);
      assert.equal(await applyAndPack(changes, active.upperFd, { lower }, packing), undefined);
      using tree = snapshots.activeTree(active);
      assert.deepEqual(
        tree.list(b('')),
        changes.map(({ path: at }) => at),
      );
    }
  });

  test('and throws what writing throws', async () => {
    using lower = snapshots.tree(undefined);
    const active = snapshots.prepare(undefined);
    const short: AddChange = { ...file('f', 'four'), node: { ...NODE, size: 5 } };
    const pack = (found: Changeset) => packLayer(found, DROP, { compression: GZIP });
    await assert.rejects(applyAndPack([file('a', 'x'), short], active.upperFd, { lower }, pack), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
  });
});
