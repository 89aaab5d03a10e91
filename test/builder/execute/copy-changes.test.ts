import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { copyChanges } from '../../../src/builder/execute/copy-changes.ts';
import { type CopySource, findSource } from '../../../src/builder/execute/copy-sources.ts';
import { TsbuildError } from '../../../src/errors.ts';
import { fromText } from '../../../src/tree/byte-string.ts';
import type { FileTree } from '../../../src/tree/file-tree.ts';
import { memoryTree } from '../../tree/_memory-tree.ts';

const link = (target: string) => ({ type: 'symlink' as const, linkTarget: fromText(target) });
const FROM = memoryTree({
  file: { content: 'f', mode: 0o750, mtimeNs: 7n },
  dir: { mode: 0o700, mtimeNs: 9n },
  'dir/a': { content: 'a' },
  'dir/sub/b': { content: 'b' },
  'dir/link': link('a'),
  alias: link('file'),
  one: { content: '1', inode: 'x' },
  two: { content: '1', inode: 'x' },
});
const INTO = memoryTree({
  app: { uid: 5, mode: 0o711 },
  'app/sub': { mode: 0o700 },
  lib: link('usr/lib'),
  'usr/lib': {},
  taken: { content: '' },
  'app/a': {},
});

interface Copy {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly into?: FileTree;
  readonly owner?: { uid: number; gid: number };
  readonly chmod?: number;
}

/** `path type mode uid` of each change. */
function changes({ sources, destination, into = INTO, owner, chmod }: Copy): string[] {
  const found = sources.map((source) => findSource(FROM, fromText(source)) as CopySource);
  const list = [...copyChanges({ from: FROM, sources: found, into, destination, owner, chmod, createdNs: 0n })];
  return list.map((change) =>
    change.kind === 'add'
      ? `${change.path || '.'} ${change.hardLinkTo === undefined ? change.node.type : `=${change.hardLinkTo}`} ${change.node.mode.toString(8)} ${change.node.uid}`
      : change.kind,
  );
}

describe('copyChanges()', () => {
  test('puts a file into an existing directory, or under a new name', () => {
    assert.deepEqual(changes({ sources: ['file'], destination: '/app' }), ['app/file file 750 0']);
    assert.deepEqual(changes({ sources: ['file'], destination: '/new' }), ['new file 750 0']);
    assert.deepEqual(changes({ sources: ['file'], destination: '/new/' }), ['new directory 755 0', 'new/file file 750 0']);
    assert.deepEqual(changes({ sources: ['file'], destination: '/x/y/z' }), [
      'x directory 755 0',
      'x/y directory 755 0',
      'x/y/z file 750 0',
    ]);
  });

  test('merges the contents of a directory, keeping an existing destination as it is', () => {
    const empty = memoryTree({ app: { uid: 5, mode: 0o711 } });
    assert.deepEqual(changes({ sources: ['dir'], destination: '/app', into: empty }), [
      'app directory 711 5',
      'app/a file 644 0',
      'app/link symlink 755 0',
      'app/sub directory 755 0',
      'app/sub/b file 644 0',
    ]);
    assert.deepEqual(changes({ sources: ['dir/sub'], destination: '/fresh' }), ['fresh directory 755 0', 'fresh/b file 644 0']);
  });

  test('follows a link that is named, under its own name, and a link in the destination', () => {
    assert.deepEqual(changes({ sources: ['alias'], destination: '/app/' }), ['app/alias file 750 0']);
    assert.deepEqual(changes({ sources: ['file'], destination: '/lib/' }), ['usr/lib/file file 750 0']);
  });

  test('gives owner and mode to files and to directories that it makes', () => {
    assert.deepEqual(changes({ sources: ['dir/sub'], destination: '/n', owner: { uid: 3, gid: 4 }, chmod: 0o600 }), [
      'n directory 600 3',
      'n/b file 600 3',
    ]);
  });

  test('keeps hard links within one COPY', () => {
    assert.deepEqual(changes({ sources: ['one', 'two'], destination: '/app/' }), ['app/one file 644 0', 'app/two =app/one 644 0']);
  });

  for (const [what, copy] of [
    ['a file over a directory', { sources: ['dir/a'], destination: '/app/' }],
    ['a directory over a file', { sources: ['dir'], destination: '/taken' }],
    ['a path below a file', { sources: ['file'], destination: '/taken/x' }],
    ['several sources to one name', { sources: ['file', 'one'], destination: '/new' }],
  ] as const) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => changes(copy),
        (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_COPY_CONFLICT',
      );
    });
  }
});
