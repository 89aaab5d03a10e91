import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../src/tree/byte-string.ts';
import type { FileNode, FileTree } from '../../src/tree/file-tree.ts';
import { wholeTree } from '../../src/tree/whole-tree.ts';

const NODE = { mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };
const NODES = new Map<string, FileNode>([
  ['', { ...NODE, type: 'directory' }],
  ['b', { ...NODE, type: 'directory' }],
  ['b/file', { ...NODE, type: 'file', inode: '1:2' }],
  ['c', { ...NODE, type: 'file', inode: '1:2' }],
  ['a', { ...NODE, type: 'symlink', linkTarget: 'c' as ByteString }],
]);
const TREE: FileTree = {
  stat: (path) => NODES.get(path),
  list: (path) =>
    [...NODES.keys()]
      .filter((each) => each !== '' && each.split('/').slice(0, -1).join('/') === path)
      .map((each) => each.split('/').at(-1) as ByteString)
      .sort(),
  xattrs: () => new Map(),
  open: () => 99,
};

test('wholeTree gives every file once, a directory before what is in it, and a second name as a link', () => {
  const changes = [...wholeTree(TREE)];
  assert.deepEqual(
    changes.map(({ path }) => path),
    ['', 'a', 'b', 'b/file', 'c'],
  );
  assert.deepEqual(
    changes.map(({ content, hardLinkTo }) => [content?.kind, hardLinkTo]),
    [
      [undefined, undefined],
      [undefined, undefined],
      [undefined, undefined],
      ['file', undefined],
      [undefined, 'b/file'],
    ],
  );
});
