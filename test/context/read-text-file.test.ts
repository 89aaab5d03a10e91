import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { readTextFile } from '../../src/context/read-text-file.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-text-'));
after(() => rmSync(directory, { recursive: true }));

const contextDir = path.join(directory, 'context');
mkdirSync(path.join(contextDir, 'docker'), { recursive: true });
writeFileSync(path.join(contextDir, 'docker/Dockerfile'), 'inside');
writeFileSync(path.join(directory, 'outside'), 'outside');
symlinkSync('docker/Dockerfile', path.join(contextDir, 'to-inside'));
symlinkSync('../outside', path.join(contextDir, 'to-outside'));
symlinkSync('..', path.join(contextDir, 'up'));
symlinkSync(contextDir, path.join(directory, 'linked-context'));
symlinkSync('context/docker/Dockerfile', path.join(directory, 'into-context'));

const read = (file: string, context = contextDir) =>
  readTextFile(path.join(directory, file), { contextDir: context, maxBytes: 100, errorName: 'DOCKERFILE_NOT_FOUND' });

test('readTextFile() reads files of a context, through links that stay inside it', () => {
  assert.equal(read('context/docker/Dockerfile'), 'inside');
  assert.equal(read('context/to-inside'), 'inside');
  assert.equal(read('linked-context/to-inside', path.join(directory, 'linked-context')), 'inside');
});

test('readTextFile() reads any file that the caller names outside the context', () => {
  assert.equal(read('outside'), 'outside');
  assert.equal(read('into-context'), 'inside');
});

test('readTextFile() refuses links out of the context', () => {
  for (const file of ['context/to-outside', 'context/up/outside']) {
    assert.throws(() => read(file), { code: 'ERR_TSBUILD_DOCKERFILE_NOT_FOUND', message: /leads out of the build context/ }, file);
  }
});

test('readTextFile() knows no file where there is none, and refuses what is larger than asked for', () => {
  assert.equal(read('context/none'), undefined);
  assert.equal(read('outside/none'), undefined);
  writeFileSync(path.join(contextDir, 'big'), 'x'.repeat(101));
  assert.throws(() => read('context/big'), /larger than 100 bytes/);
});
