import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyValues } from '../../src/cli/key-values.ts';

test('keyValues() splits at the first = and lets the last of a key win', () => {
  assert.deepEqual({ ...keyValues('--label', ['a=1', 'b=x=y', 'c=', 'a=2']) }, { a: '2', b: 'x=y', c: '' });
});

test('keyValues() takes a bare key from the environment and leaves out what is not set', () => {
  assert.deepEqual({ ...keyValues('--build-arg', ['HOME', 'NONE'], { HOME: '/root' }) }, { HOME: '/root' });
});

test('keyValues() keeps a key that would be special on an object', () => {
  assert.deepEqual(Object.entries(keyValues('--label', ['__proto__=x', 'constructor=y'])), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ]);
});

test('keyValues() refuses a word without key or, where there is no environment, without value', () => {
  assert.throws(() => keyValues('--label', ['=x']), { code: 'ERR_TSBUILD_USAGE', message: 'Cannot use "=x" as --label: not KEY=VALUE' });
  assert.throws(() => keyValues('--label', ['key']), { code: 'ERR_TSBUILD_USAGE' });
});
