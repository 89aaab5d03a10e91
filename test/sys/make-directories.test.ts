import assert from 'node:assert/strict';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectories } from '../../src/sys/make-directories.ts';
import { temporaryDirectory } from './_directory.ts';

const root = temporaryDirectory();
const at = (...names: string[]): string => join(root, ...names);

test('makeDirectories() makes what is missing, and tells the first that it made', () => {
  assert.equal(makeDirectories(at('a', 'b', 'c'), 0o700), at('a'));
  for (const path of ['a', 'a/b', 'a/b/c']) assert.equal(statSync(at(path)).mode & 0o777, 0o700);
  assert.equal(makeDirectories(at('a', 'b', 'c')), undefined);
  assert.equal(makeDirectories(at('a', 'd')), at('a', 'd'));
  assert.equal(makeDirectories(`${root}/e/`), `${root}/e/`);
  assert.equal(makeDirectories(`${root}/f/.`), `${root}/f`);
  assert.equal(makeDirectories('/'), undefined);
});

test('makeDirectories() goes through links to directories', () => {
  mkdirSync(at('real'));
  symlinkSync('real', at('link'));
  assert.equal(makeDirectories(at('link')), undefined);
  assert.equal(makeDirectories(at('link', 'below')), at('link', 'below'));
  assert.ok(statSync(at('real', 'below')).isDirectory());
});

test('makeDirectories() says what cannot be made, and comes back where the kernel makes none', () => {
  writeFileSync(at('file'), '');
  symlinkSync('nowhere', at('broken'));
  assert.throws(() => makeDirectories(at('file')), { code: 'EEXIST' });
  assert.throws(() => makeDirectories(at('file', 'below')), { code: 'ENOTDIR' });
  assert.throws(() => makeDirectories(at('broken', 'below')), { code: 'EEXIST' });
  assert.throws(() => makeDirectories('/proc/none/below'), { code: 'ENOENT' });
});
