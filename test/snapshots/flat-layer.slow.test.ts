import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LAYERS_MAX } from '../../src/snapshots/flat-layer.ts';
import { openSnapshotter, type Snapshotter } from '../../src/snapshots/snapshotter.ts';
import { UnsoundSnapshot } from '../../src/snapshots/unsound-snapshot.ts';
import { b, dumpTree, type Operation, sayable, startDriver, temporaryDirectory } from '../layers/_overlay.ts';

const driver = startDriver();

/** Of layer `index`: files come and go, and now and then what is hard to merge. */
function operationsOf(index: number): readonly Operation[] {
  const more: Record<number, readonly Operation[]> = {
    0: [
      ['chmod', '.', 0o751],
      ['mkdir', 'd', 0],
      ['mkdir', 'gone', 0],
      ['write', 'gone/file', 'x'],
      ['mkdir', 'again', 0],
      ['write', 'again/old', 'old'],
      ['write', 'pair', 'two names'],
      ['link', 'd/pair', 'pair'],
      ['symlink', 'link', '/nowhere'],
    ],
    40: [['remove', 'gone', 0]],
    60: [
      ['replace', 'again', 0],
      ['write', 'again/new', 'new'],
    ],
    90: [['xattr', 'again/new', 'v']],
  };
  const step: Operation[] = [['write', `d/f${index}`, String(index)]];
  if (index > 2 && index % 2 === 0) step.push(['unlink', `d/f${index - 2}`, 0]);
  return [...(more[index] ?? []), ...step];
}

async function stackLayers(snapshots: Snapshotter, count: number): Promise<string> {
  let below: string | undefined;
  for (let index = 0; index < count; index++) {
    const active = snapshots.prepare(below);
    await driver.run(snapshots, active, operationsOf(index));
    below = snapshots.commit(active, `layer-${index}`).name;
  }
  return below ?? '';
}

function flatDirectories(root: string): string[] {
  const directory = join(root, 'snapshots/d');
  return readdirSync(directory).filter((id) => existsSync(join(directory, id, 'flat')));
}

test('a stack of many layers is made flat in between, and shows what the kernel shows of all layers', async () => {
  const root = temporaryDirectory();
  using snapshots = openSnapshotter(root);
  const top = await stackLayers(snapshots, 2 * LAYERS_MAX + 20);
  assert.equal(flatDirectories(root).length, 2);
  using tree = snapshots.tree(top);
  const ours = dumpTree(tree);
  const active = snapshots.prepare(top);
  assert.ok(active.lower.length <= LAYERS_MAX, String(active.lower.length));
  const lower = snapshots.chain(top).map(({ id }) => `${id}/fs`);
  const unflattened = Object.create(snapshots, { overlay: { value: () => ({ ...snapshots.overlay(active), lower: lower.reverse() }) } });
  assert.deepEqual(sayable(ours), sayable(await driver.run(unflattened, active, [])));
  assert.deepEqual(tree.list(b('again')), ['new']);
  assert.equal(tree.stat(b('gone')), undefined);
  assert.equal(tree.stat(b('pair'))?.inode, tree.stat(b('d/pair'))?.inode);
  assert.equal(snapshots.chain(top).length, 2 * LAYERS_MAX + 20, 'the layers stay what they are');
});

test('a flat layer is made again where it is gone, and costs names, no content', async () => {
  const root = temporaryDirectory();
  const top = await (async () => {
    using snapshots = openSnapshotter(root);
    return await stackLayers(snapshots, LAYERS_MAX + 2);
  })();
  const [id = ''] = flatDirectories(root);
  const flat = join(root, 'snapshots/d', id, 'flat');
  assert.ok(statSync(join(flat, 'again/new')).nlink > 1);
  rmSync(flat, { recursive: true });
  using snapshots = openSnapshotter(root);
  using tree = snapshots.tree(top);
  assert.deepEqual(tree.list(b('again')), ['new']);
  assert.equal(flatDirectories(root).length, 1);
  assert.equal(readdirSync(join(root, 'snapshots/d')).length, LAYERS_MAX + 2, 'what it was made in is gone');
});

test('links that a flat layer has make no snapshot unsound, and a file that has changed makes both', async () => {
  const root = temporaryDirectory();
  let top: string;
  {
    using snapshots = openSnapshotter(root);
    top = await stackLayers(snapshots, LAYERS_MAX + 2);
  }
  const names = Array.from({ length: LAYERS_MAX + 2 }, (_, index) => `layer-${index}`);
  {
    using snapshots = openSnapshotter(root);
    for (const name of names) await snapshots.check(name);
    rmSync(join(root, 'snapshots/d', flatDirectories(root)[0] ?? '', 'flat'), { recursive: true });
  }
  {
    using snapshots = openSnapshotter(root);
    for (const name of names) await snapshots.check(name);
    assert.equal(flatDirectories(root).length, 1);
  }
  writeFileSync(join(root, 'snapshots/names/layer-0/fs/pair'), 'X', { flag: 'r+' });
  using snapshots = openSnapshotter(root);
  await assert.rejects(snapshots.check(top), UnsoundSnapshot);
  await assert.rejects(snapshots.check(top), UnsoundSnapshot);
  assert.deepEqual(snapshots.names(), []);
});
