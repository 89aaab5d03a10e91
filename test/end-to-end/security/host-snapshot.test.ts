/** The oracle itself: it must notice what an escape would do. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { assertSameHost, hostSnapshot, plantVictim } from './_host-snapshot.ts';

test('assertSameHost() notices content, mode, times, new files and files that are gone', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-host-'));
  try {
    const victim = plantVictim(directory, 'canary');
    const before = hostSnapshot([victim]);
    assertSameHost(before);
    const canary = path.join(victim, 'canary');
    const changes: readonly [string, () => void][] = [
      [canary, () => chmodSync(canary, 0o4755)],
      [canary, () => utimesSync(canary, 1, 1)],
      [canary, () => writeFileSync(canary, 'CANARY\n')],
      [path.join(victim, 'new'), () => writeFileSync(path.join(victim, 'new'), '')],
      [path.join(victim, 'ptmx'), () => unlinkSync(path.join(victim, 'ptmx'))],
    ];
    for (const [place, change] of changes) {
      const last = hostSnapshot([victim]);
      change();
      assert.throws(() => assertSameHost(last), new RegExp(`${place}: `));
    }
    assert.throws(() => assertSameHost(before), /differences on the host/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
