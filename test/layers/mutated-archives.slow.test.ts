/** A hundred thousand archives that are wrong somewhere, unpacked as root and as an ordinary user: nothing outside the root changes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { emptyUserWorld } from '../end-to-end/_rootless.ts';
import { BIN } from '../end-to-end/_world.ts';

const PROGRAM = path.join(import.meta.dirname, '_unpack-mutants.js');
const MUTANTS = Number(process.env['TSBUILD_TEST_MUTANTS'] ?? 100_000);
/** Another thousand each time: TSBUILD_TEST_FIRST_MUTANT=1000000. */
const FIRST = Number(process.env['TSBUILD_TEST_FIRST_MUTANT'] ?? 0);
const WORKERS = availableParallelism();
/** In memory, since a journal of a disk makes each file and each removal wait; `DISK` of them are unpacked there, too. */
const IN_MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const DISK = Math.min(MUTANTS, 2000);

/** Runs the program on a share of the mutants in each of as many processes as there are cores; adds up what they print. */
async function unpackAll(
  mutants: number,
  run: (args: readonly string[]) => Promise<string>,
): Promise<{ unpacked: number; refused: number }> {
  const share = Math.ceil(mutants / WORKERS);
  const shares = Array.from({ length: WORKERS }, (_, i) => [String(FIRST + i * share), String(share)]);
  const total = { unpacked: 0, refused: 0 };
  for (const printed of await Promise.all(shares.map(run))) {
    const { unpacked, refused } = JSON.parse(printed) as typeof total;
    total.unpacked += unpacked;
    total.refused += refused;
  }
  return total;
}

function check({ unpacked, refused }: { unpacked: number; refused: number }, mutants: number): void {
  assert.ok(unpacked + refused >= mutants);
  assert.ok(unpacked > mutants / 20 && refused > mutants / 20, JSON.stringify({ unpacked, refused }));
}

const asRoot =
  (place: string) =>
  async (args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [PROGRAM, ...args], { env: { ...process.env, TMPDIR: place } })).stdout;

test('no mutated archive changes anything outside its root', async (t) => {
  const outcomes = await unpackAll(MUTANTS, asRoot(IN_MEMORY));
  check(outcomes, MUTANTS);
  t.diagnostic(JSON.stringify(outcomes));
});

test('nor on a disk', async () => {
  check(await unpackAll(DISK, asRoot(tmpdir())), DISK);
});

test('nor does one that an ordinary user unpacks', async (t) => {
  await using world = emptyUserWorld();
  const outcomes = await unpackAll(MUTANTS, async (args) => {
    const { code, stdout, stderr } = await world.asUser('env', [
      `TMPDIR=${IN_MEMORY}`,
      process.execPath,
      BIN,
      'unshare',
      process.execPath,
      PROGRAM,
      ...args,
    ]);
    assert.equal(code, 0, stderr);
    return stdout;
  });
  check(outcomes, MUTANTS);
  t.diagnostic(JSON.stringify(outcomes));
});
