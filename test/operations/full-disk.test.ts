import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { namingFullDisk } from '../../src/operations/full-disk.ts';

const full = (): Error => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });

test('a full disk is named, also where what is closed because of it finds the disk full as well', async () => {
  const closing = async (): Promise<void> => {
    await using _open = {
      async [Symbol.asyncDispose]() {
        throw full();
      },
    };
    throw full();
  };
  for (const work of [() => Promise.reject(full()), closing]) {
    await assert.rejects(namingFullDisk(tmpdir(), work), (error: Error) => {
      assert.equal((error as NodeJS.ErrnoException).code, 'ERR_TSBUILD_NO_SPACE');
      assert.ok(error.message.includes(`in ${tmpdir()} `), error.message);
      return true;
    });
  }
});

test('whatever else fails is told as it is, and so is a full disk that has a name', async () => {
  const named = Object.assign(new Error(`ENOSPC: no space left on device, open '${tmpdir()}/x'`), { code: 'ENOSPC' });
  for (const error of [new TypeError('x'), named]) {
    await assert.rejects(
      namingFullDisk(tmpdir(), () => Promise.reject(error)),
      (thrown) => thrown === error,
    );
  }
});
