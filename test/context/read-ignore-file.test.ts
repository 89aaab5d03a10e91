import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { ignored } from '../../src/context/ignore-file.ts';
import { readIgnoreFile } from '../../src/context/read-ignore-file.ts';
import { makeDirectory } from './_tree.ts';

test("readIgnoreFile() prefers the Dockerfile's own ignore file, which wins completely", () => {
  using dir = makeDirectory({ '.dockerignore': 'a', 'x.Dockerfile.dockerignore': 'b', 'y.Dockerfile': '' });
  const own = readIgnoreFile(dir.path, `${dir.path}/x.Dockerfile`);
  assert.deepEqual(own && [ignored(own, 'a').ignored, ignored(own, 'b').ignored], [false, true]);
  const shared = readIgnoreFile(dir.path, `${dir.path}/y.Dockerfile`);
  assert.deepEqual(shared && [ignored(shared, 'a').ignored, ignored(shared, 'b').ignored], [true, false]);
});

test('readIgnoreFile() gives undefined without a file and refuses what is no file', () => {
  using none = makeDirectory({});
  assert.equal(readIgnoreFile(none.path, undefined), undefined);
  execFileSync('mkfifo', [`${none.path}/.dockerignore`]);
  assert.throws(() => readIgnoreFile(none.path, undefined), { code: 'ERR_TSBUILD_CONTEXT_NOT_FOUND' });
});
