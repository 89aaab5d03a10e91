import assert from 'node:assert/strict';
import { closeSync, constants, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { applyChanges } from '../../src/layers/apply-changes.ts';
import { writeLayerTar } from '../../src/layers/layer-tar.ts';
import { overlayDiff } from '../../src/layers/overlay-diff.ts';
import { readLayer } from '../../src/layers/read-layer.ts';
import { linkAt, makeDirectoryAt, makeNodeAt, symlinkAt } from '../../src/sys/entries.ts';
import { AT_FDCWD, openAt } from '../../src/sys/open.ts';
import { removeTree } from '../../src/sys/remove-tree.ts';
import type { Change } from '../../src/tree/change.ts';
import { applyTar, b, dumpTree, sayable, tarOfActive, temporarySnapshotter } from './_overlay.ts';

test('X31 a tree 1000 directories deep, far beyond PATH_MAX, survives diff, archive and apply', async () => {
  const snapshots = temporarySnapshotter();
  const active = snapshots.prepare(undefined);
  let at = active.upperFd;
  for (let i = 0; i < 1000; i++) {
    const name = b(`level-${i}-of-them`);
    makeDirectoryAt(at, name, 0o755);
    const below = openAt(at, name, constants.O_RDONLY);
    if (at !== active.upperFd) closeSync(at);
    at = below;
  }
  makeNodeAt(at, b('bottom'), { type: 'file', mode: 0o644 });
  linkAt(at, b('bottom'), at, b('link'));
  symlinkAt(b('bottom'), at, b('symlink'));
  closeSync(at);
  await applyTar(snapshots, await tarOfActive(snapshots, active), { parent: undefined, name: 'copy' });
  snapshots.commit(active, 'original');
  {
    using original = snapshots.tree('original');
    using copy = snapshots.tree('copy');
    const dumped = dumpTree(copy);
    assert.equal(dumped.length, 1004);
    assert.deepEqual(sayable(dumped), sayable(dumpTree(original)));
  }
  for (const id of readdirSync(snapshots.directory)) removeTree(AT_FDCWD, b(path.join(snapshots.directory, id)));
});

test('F10 X32 60,000 names of one inode and 40,000 links stay in flat memory', async () => {
  const snapshots = temporarySnapshotter();
  const active = snapshots.prepare(undefined);
  const node = { mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };
  function* changes(): Generator<Change> {
    const xattrs = new Map<string, Buffer>();
    yield { kind: 'add', path: b('first'), node: { ...node, type: 'file' }, xattrs };
    for (let i = 0; i < 60_000; i++)
      yield { kind: 'add', path: b(`hard-${i}`), node: { ...node, type: 'file' }, xattrs, hardLinkTo: b('first') };
    for (let i = 0; i < 40_000; i++)
      yield { kind: 'add', path: b(`sym-${i}`), node: { ...node, type: 'symlink', mode: 0o777, linkTarget: b('first') }, xattrs };
  }
  const before = process.memoryUsage().rss;
  await applyChanges(readLayer(writeLayerTar(changes())), active.upperFd);
  let size = 0;
  using lower = snapshots.tree(undefined);
  for await (const chunk of writeLayerTar(overlayDiff(active.upperFd, lower))) size += chunk.length;
  assert.equal(size, 512 * (100_001 + 2));
  const more = Math.round((process.memoryUsage().rss - before) / 2 ** 20);
  assert.ok(more < 256, `${more} MiB more`);
  snapshots.discard(active);
});
