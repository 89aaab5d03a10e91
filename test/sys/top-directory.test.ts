import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { spreadDirectories } from '../../src/sys/top-directory.ts';

test('directories in one of ext4 are spread over the disk; elsewhere nothing happens', (context) => {
  // Not in TMPDIR: that may be memory.
  const directory = mkdtempSync(path.join(process.cwd(), '.build-topdir-'));
  try {
    spreadDirectories(directory);
    spreadDirectories('/proc/self');
    const kind = execFileSync('stat', ['-f', '-c', '%T', directory], { encoding: 'utf8' }).trim();
    if (kind !== 'ext2/ext3') return context.skip(`the working directory is on ${kind}, not on ext4`);
    assert.match(execFileSync('lsattr', ['-d', directory], { encoding: 'utf8' }), /^[-a-zA-Z]*T/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
