import assert from 'node:assert/strict';
import { closeSync, constants, fstatSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockFile, lockNew } from '../../src/sys/lock.ts';
import { temporaryDirectory } from './_directory.ts';

const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** Makes a file for each call; the first `taken` of them are locked, or removed, by somebody else before it returns. */
function disturbed(directory: string, { taken, by }: { taken: number; by: 'lock' | 'removal' }): () => { path: string; fd: number } {
  let count = 0;
  return () => {
    const path = join(directory, String(count++));
    const fd = openSync(path, NEW, 0o600);
    if (count > taken) return { path, fd };
    if (by === 'lock') lockFile(openSync(path, constants.O_RDONLY), 'exclusive');
    else rmSync(path);
    return { path, fd };
  };
}

for (const by of ['lock', 'removal'] as const) {
  test(`where somebody else has locked or removed a new file before its maker locks it, another is made: ${by}`, () => {
    const directory = temporaryDirectory();
    const { path, fd } = lockNew(directory, disturbed(directory, { taken: 3, by }));
    assert.equal(path, join(directory, '3'));
    assert.equal(fstatSync(fd).nlink, 1);
    const other = openSync(path, constants.O_RDONLY);
    assert.equal(lockFile(other, 'shared'), false, 'it is locked');
    for (const each of [fd, other]) closeSync(each);
  });
}

test('where each new file is locked by somebody else, it is an error that says so, and none stays open', () => {
  const directory = temporaryDirectory();
  const { O_RDONLY } = constants;
  const theirs: number[] = [];
  const make = (): { fd: number } => {
    const path = join(directory, String(theirs.length));
    const fd = openSync(path, NEW, 0o600);
    theirs.push(openSync(path, O_RDONLY));
    lockFile(theirs.at(-1) ?? -1, 'exclusive');
    return { fd };
  };
  assert.throws(() => lockNew(directory, make), {
    code: 'ERR_TSBUILD_SYSCALL_FAILED',
    message: `Cannot lock a new file in ${directory}: EAGAIN`,
  });
  for (const fd of theirs) closeSync(fd);
  assert.ok(readdirSync('/proc/self/fd').length < theirs.length / 2);
});
