/** Every combination of hostile names, types, links and splits into layers (security.md E1 to E5, E12): nothing outside the root changes. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { emptyUserWorld } from '../end-to-end/_rootless.ts';
import { BIN } from '../end-to-end/_world.ts';
import { countOutcomes, LAYERS } from './_malicious-layers.ts';

const PROGRAM = path.join(import.meta.dirname, '_malicious-layers.js');

function check({ unpacked, refused }: { unpacked: number; refused: number }): void {
  assert.equal(unpacked + refused, LAYERS);
  // Either alone would mean that nothing was tried.
  assert.ok(LAYERS >= 7000 && unpacked > LAYERS / 10 && refused > LAYERS / 10, JSON.stringify({ unpacked, refused }));
}

test('E1 E12 no malicious layer changes anything outside its root', async (t) => {
  const outcomes = await countOutcomes();
  check(outcomes);
  t.diagnostic(JSON.stringify(outcomes));
});

test('nor does one that an ordinary user unpacks', async (t) => {
  await using world = emptyUserWorld();
  const { code, stdout, stderr } = await world.asUser(process.execPath, [BIN, 'unshare', process.execPath, PROGRAM]);
  assert.equal(code, 0, stderr);
  check(JSON.parse(stdout));
  t.diagnostic(stdout.trim());
});
