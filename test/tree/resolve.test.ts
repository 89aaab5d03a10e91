import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { type ByteString, fromText } from '../../src/tree/byte-string.ts';
import { resolvePath } from '../../src/tree/resolve.ts';
import { memoryTree } from './_memory-tree.ts';

const link = (target: string) => ({ type: 'symlink' as const, linkTarget: fromText(target) });
const tree = memoryTree({
  'usr/lib/x': { content: 'x' },
  lib: link('usr/lib'),
  absolute: link('/usr/lib/x'),
  out: link('../../../../usr'),
  loop: link('loop2'),
  loop2: link('/loop'),
  dangling: link('nowhere/else'),
});

describe('resolvePath()', () => {
  for (const [path, expected] of [
    ['/lib/x', 'usr/lib/x'],
    ['absolute', 'usr/lib/x'],
    ['out/lib/./x', 'usr/lib/x'],
    ['../../lib/../lib/x', 'usr/lib/x'],
    ['lib/new/deeper', 'usr/lib/new/deeper'],
    ['dangling', 'nowhere/else'],
    ['', ''],
    ['/..', ''],
  ] as const) {
    test(`resolves ${JSON.stringify(path)} to ${JSON.stringify(expected)} inside the root`, () => {
      assert.equal(resolvePath(tree, fromText(path), 'follow').path, expected);
    });
  }

  test('keeps a link at the end where asked to', () => {
    assert.equal(resolvePath(tree, fromText('/absolute/'), 'keep').path, 'absolute');
    assert.equal(resolvePath(tree, fromText('lib'), 'keep').node?.type, 'symlink');
  });

  test('looks for nothing below what is not there', () => {
    const asked: string[] = [];
    const counting = {
      ...tree,
      stat: (path: ByteString) => {
        asked.push(path);
        return tree.stat(path);
      },
    };
    assert.equal(resolvePath(counting, fromText(`/gone${'/a'.repeat(100)}/../b`), 'follow').node, undefined);
    assert.ok(asked.length < 5, asked.join(' '));
    assert.equal(resolvePath(tree, fromText('gone/../lib/x'), 'follow').node?.type, 'file');
  });

  test('refuses what is too long to be a path', () => {
    for (const path of ['a'.repeat(256), '/a'.repeat(2048), `/${'é'.repeat(128)}`])
      assert.throws(() => resolvePath(tree, fromText(path), 'follow'), { code: 'ERR_TSBUILD_SYSCALL_FAILED', errno: 'ENAMETOOLONG' });
    assert.equal(resolvePath(tree, fromText('a'.repeat(255)), 'follow').path.length, 255);
  });

  test('ends a loop of links with PATH_ESCAPE', () => {
    assert.throws(
      () => resolvePath(tree, fromText('loop'), 'follow'),
      (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_PATH_ESCAPE',
    );
  });
});
