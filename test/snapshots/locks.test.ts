import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tryLock } from '../../src/snapshots/locks.ts';
import { temporaryDirectory } from '../layers/_overlay.ts';

function descriptorOf(file: string): number {
  const found = readdirSync('/proc/self/fd').find((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // the one that lists
    }
  });
  return Number(found);
}

test('a lock that is given back is free, though a process that is being started has a copy of its descriptor', async () => {
  const file = join(temporaryDirectory(), 'lock');
  const lock = tryLock(file, 'exclusive');
  const child = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', descriptorOf(file)] });
  await once(child, 'spawn');
  try {
    assert.equal(tryLock(file, 'shared'), undefined);
    lock?.[Symbol.dispose]();
    using again = tryLock(file, 'shared');
    assert.ok(again);
  } finally {
    child.kill('SIGKILL');
  }
});
