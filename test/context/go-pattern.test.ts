import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanPath, parseGoPattern } from '../../src/context/go-pattern.ts';

test('parseGoPattern() refuses what Go calls a bad pattern', () => {
  for (const bad of ['[', '[]', '[]a]', '[a', '[^', '[^]', '[-]', '[x-]', '[-x]', '[a-b-c]', 'a[', 'a\\', '[a-\\', '[\\', '[^bc']) {
    assert.throws(() => parseGoPattern(bad, 'a test'), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' }, bad);
  }
});

test('parseGoPattern() accepts what Go accepts', () => {
  for (const good of [
    '',
    '*',
    '[a]',
    '[^a]',
    '[a-z0-9]',
    '[\\]]',
    '[\\-x]',
    '[x\\-]',
    ']',
    'a]',
    '[!a]',
    '[[]',
    '[[:alpha:]',
    '\\[',
    '[z-a]',
    '-',
  ]) {
    assert.doesNotThrow(() => parseGoPattern(good, 'a test'), good);
  }
});

test('parseGoPattern() keeps a character beyond the basic plane whole', () => {
  assert.deepEqual(parseGoPattern('😀', 'a test'), [{ kind: 'literal', char: '😀' }]);
});

test('cleanPath() agrees with the examples of filepath.Clean', () => {
  const cases: [string, string][] = [
    ['', '.'],
    ['a/b', 'a/b'],
    ['a//b/', 'a/b'],
    ['./a/./b', 'a/b'],
    ['a/../b', 'b'],
    ['../../a', '../../a'],
    ['/../a', '/a'],
    ['/', '/'],
    ['a/..', '.'],
    ['..', '..'],
    ['abc/def/../../..', '..'],
  ];
  for (const [input, expected] of cases) assert.equal(cleanPath(input), expected, input);
});
