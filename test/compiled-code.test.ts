import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-code-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const state = path.join(directory, 'state');
const kept = path.join(state, 'cache/code');
const byNode = 'enableCompileCache' in Module ? 'Node keeps compiled code by itself since 22.1' : false;

/** Its output, and how many bundles V8 compiled anew. */
function images(root = state): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/tsbuild', 'images', '--root', root], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

function keptFile(): string {
  const [name = '', ...others] = readdirSync(kept);
  assert.deepEqual(others, []);
  return path.join(kept, name);
}

test('compiled code is kept for the next start of the same command, where the state directory is there', { skip: byNode }, () => {
  const first = images();
  assert.ok(!existsSync(kept), 'the first start made the state directory');
  assert.equal(images(), first);
  assert.equal(readFileSync(keptFile()).length, 0, 'a first run needs what later ones do not');
  assert.equal(images(), first);
  const before = readFileSync(keptFile());
  assert.ok(before.length > 100_000);
  assert.equal(images(), first);
  assert.deepEqual(readFileSync(keptFile()), before, 'what was compiled before is not compiled again');
});

test('code that somebody changed, or that belongs to another version, is not used', { skip: byNode }, () => {
  const expected = images();
  const file = keptFile();
  const whole = readFileSync(file);
  for (const at of [0, 40, whole.length >> 1, whole.length - 1]) {
    writeFileSync(file, whole.with(at, (whole[at] ?? 0) ^ 1));
    assert.equal(images(), expected);
    assert.deepEqual(readFileSync(file).length > 100_000, true);
  }
  writeFileSync(file, whole.subarray(0, 1000));
  assert.equal(images(), expected);
  writeFileSync(path.join(kept, '0000000000000000-v1.0.0-x64-images'), 'old');
  writeFileSync(file, 'torn');
  assert.equal(images(), expected);
  assert.equal(readdirSync(kept).length, 1);
});

test('nothing is taken out of a directory that others can write to', { skip: byNode }, () => {
  const expected = images();
  const file = keptFile();
  writeFileSync(file, 'torn');
  chmodSync(state, 0o777);
  assert.equal(images(), expected);
  assert.equal(readFileSync(file, 'utf8'), 'torn', 'the store closes its directory, after the start');
  chownSync(state, 12345, 12345);
  const { status } = spawnSync(process.execPath, ['bin/tsbuild', 'images', '--root', state]);
  assert.notEqual(status, 0);
  assert.equal(readFileSync(file, 'utf8'), 'torn');
});

test('a state directory that the command removed is not made again', { skip: byNode }, () => {
  const root = path.join(directory, 'removed');
  images(root);
  const { status } = spawnSync(process.execPath, ['bin/tsbuild', 'unshare', '--root', root, 'rm', '-rf', root]);
  assert.ok(status === 0 || process.getuid?.() === 0, 'root needs no namespace, and is told so');
  rmSync(root, { recursive: true, force: true });
  assert.ok(!existsSync(root));
});
