import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWasteMeter, type WasteMeter } from '../../src/layers/wasted-bytes.ts';
import type { ByteString } from '../../src/tree/byte-string.ts';
import type { Change } from '../../src/tree/change.ts';
import type { FileNode } from '../../src/tree/file-tree.ts';

const add = (path: string, size?: number, more: object = {}): Change => ({
  ...{ kind: 'add', path: path as ByteString, xattrs: new Map() },
  node: { type: size === undefined ? 'directory' : 'file', size: size ?? 0 } as FileNode,
  ...more,
});
const gone = (path: string): Change => ({ kind: 'delete', path: path as ByteString });
const opaque = (path: string): Change => ({ kind: 'opaque', path: path as ByteString });

function measured(layers: readonly (readonly Change[])[], meter: WasteMeter = openWasteMeter()) {
  for (const layer of layers) {
    meter.nextLayer();
    for (const change of layer) meter.take(change);
  }
  const { layers: contents, wasted, isWhole } = meter.result();
  return {
    wasted: wasted.map(({ path, bytes, layer, by, how }) => `${path} ${bytes} ${layer}→${by} ${how}`),
    sums: contents.map((layer) => layer.wasted),
    isWhole,
    contents,
  };
}

test('openWasteMeter() counts what is deleted, overwritten, and hidden with its directory', () => {
  const { wasted, sums, contents } = measured([
    [add('etc'), add('etc/a', 10), add('etc/b', 20), add('opt/deep/c', 300), add('opt/d', 5), add('var/log', 7), add('kept', 1)],
    [add('etc/a', 11), gone('opt'), opaque('var'), add('var/new', 2)],
    [add('etc'), add('etc/a', 12), gone('etc/none')],
  ]);
  assert.deepEqual(wasted, [
    'opt/deep/c 300 0→1 deleted',
    'etc/a 11 1→2 overwritten',
    'etc/a 10 0→1 overwritten',
    'var/log 7 0→1 deleted',
    'opt/d 5 0→1 deleted',
  ]);
  assert.deepEqual(sums, [322, 11, 0]);
  assert.deepEqual(
    contents.map(({ files, bytes }) => [files, bytes]),
    [
      [6, 343],
      [2, 13],
      [1, 12],
    ],
  );
  assert.deepEqual(contents[0]?.largest[0], { path: 'opt/deep/c', bytes: 300 });
});

test('openWasteMeter() takes a whiteout after what its own layer adds, and files for directories', () => {
  assert.deepEqual(measured([[add('d/old', 4)], [add('d/new', 6), opaque('d')]]).wasted, ['d/old 4 0→1 deleted']);
  assert.deepEqual(measured([[add('d/x', 4), add('d/y', 2)], [add('d', 9)], [add('d'), add('d/z', 1)]]).wasted, [
    ...['d 9 1→2 overwritten', 'd/x 4 0→1 overwritten', 'd/y 2 0→1 overwritten'],
  ]);
  assert.deepEqual(measured([[add('a', 4)], [gone('a'), add('a', 5)]]).sums, [4, 0]);
  assert.deepEqual(measured([[add('a', 4)], [opaque('')]]).sums, [4, 0]);
});

test('openWasteMeter() counts an inode once, and stays within its bound', () => {
  const linked = measured([[add('a', 4), add('b', 4, { hardLinkTo: 'a' })], [gone('b')]]);
  assert.deepEqual([linked.sums, linked.contents[0]?.bytes], [[0, 0], 4]);
  const many = measured([Array.from({ length: 50 }, (_, i) => add(`f${i}`, i))], openWasteMeter(10));
  assert.deepEqual([many.isWhole, many.contents[0]?.files, many.contents[0]?.largest.length], [false, 50, 20]);
});
