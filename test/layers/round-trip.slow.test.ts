import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyTar, type Dumped, dumpTree, type Operation, sayable, startDriver, tarOfActive, temporarySnapshotter } from './_overlay.ts';

const driver = startDriver();
const source = temporarySnapshotter();
const target = temporarySnapshotter();
let count = 0;

const RUNS = Number(process.env.TSBUILD_TEST_RUNS ?? 150);

/** Does `base` and then `ops` on real mounts; carries both over to another store as archives. */
async function roundTrip(
  base: readonly Operation[],
  ops: readonly Operation[],
): Promise<{ live: Dumped[]; carried: Dumped[]; mounted: Dumped[] }> {
  const n = count++;
  const first = source.prepare(undefined);
  await driver.run(source, first, base);
  const baseTar = await tarOfActive(source, first);
  source.commit(first, `base-${n}`);
  const second = source.prepare(`base-${n}`);
  const live = await driver.run(source, second, ops);
  {
    using view = source.activeTree(second);
    assert.deepEqual(dumpTree(view), live, 'the merged view is what the kernel shows');
  }
  const tar = await tarOfActive(source, second);
  assert.ok((await tarOfActive(source, second)).equals(tar), 'the archive is the same each time');
  source.commit(second, `top-${n}`);
  await applyTar(target, baseTar, { parent: undefined, name: `base-${n}` });
  await applyTar(target, tar, { parent: `base-${n}`, name: `top-${n}` });
  using view = target.tree(`top-${n}`);
  const carried = dumpTree(view);
  const third = target.prepare(`top-${n}`);
  const mounted = await driver.run(target, third, []);
  target.discard(third);
  return { live: sayable(live), carried: sayable(carried), mounted: sayable(mounted) };
}

async function assertRoundTrip(base: readonly Operation[], ops: readonly Operation[]): Promise<void> {
  const { live, carried, mounted } = await roundTrip(base, ops);
  assert.deepEqual(carried, live);
  assert.deepEqual(mounted, live);
}

const BASE: Operation[] = [
  ['mkdir', 'd', 0],
  ['mkdir', 'd/sub', 0],
  ['write', 'd/f', 'in d'],
  ['write', 'd/sub/g', 'in sub'],
  ['write', 'f', 'content'],
  ['link', 'hard', 'f'],
  ['symlink', 'link', 'd'],
  ['chmod', 'd', 0o3750],
  ['chown', 'd/sub', 70_000],
  ['xattr', 'd/f', '\x00\xff'],
];

const CASES: Record<string, Operation[]> = {
  'nothing at all': [],
  'a deleted file and a deleted directory': [
    ['unlink', 'f', 0],
    ['remove', 'd', 0],
  ],
  'a directory removed and made again': [
    ['replace', 'd', 0],
    ['write', 'd/new', 'x'],
  ],
  'a directory replaced by a file, by a link, by a fifo': [
    ['remove', 'd', 0],
    ['write', 'd', 'now a file'],
    ['remove', 'link', 0],
    ['fifo', 'link', 0],
  ],
  'a file replaced by a directory': [
    ['unlink', 'f', 0],
    ['mkdir', 'f', 0],
    ['write', 'f/x', 'x'],
  ],
  'mode, owner, time and attribute only': [
    ['chmod', 'f', 0o4755],
    ['chown', 'd/f', 4_000_000_000],
    ['utime', 'd', 1],
    ['xattr', 'd/sub', 'v'],
  ],
  'a hard link to a lower file': [
    ['link', 'h2', 'd/f'],
    ['link', 'd/h3', 'h2'],
  ],
  'a file written through a hard link of a lower file': [['append', 'hard', 'more']],
  'capabilities and setuid together': [
    ['write', 'ping', 'elf'],
    ['chown', 'ping', 5],
    ['chmod', 'ping', 0o6711],
    ['capability', 'ping', 0],
  ],
  'devices, fifos and sockets': [
    ['device', 'null', 0],
    ['fifo', 'pipe', 0],
    ['socket', 'sock', 0],
    ['unlink', 'f', 0],
    ['socket', 'f', 0],
  ],
  'names that are not UTF-8 or not short': [
    ['write', '\xff\xfe', 'x'],
    ['mkdir', 'n'.repeat(255), 0],
    ['write', `${'n'.repeat(255)}/${'\xe9'.repeat(250)}`, 'y'],
    ['symlink', 'long', 't'.repeat(4000)],
  ],
  'names with newlines, blanks and equals signs': [
    ['write', 'a\nb=c d', 'x'],
    ['write', '\x01\x7f', 'y'],
  ],
  'times before 1970 and far ahead': [
    ['write', 'old', 'x'],
    ['utime', 'old', -1],
    ['write', 'new', 'x'],
    ['utime', 'new', 5_000_000_001],
  ],
  'a deleted name made again as it was not': [
    ['unlink', 'd/f', 0],
    ['symlink', 'd/f', '/nowhere'],
  ],
  'an opened but unchanged file': [['touch', 'd/f', 0]],
  'the root itself': [
    ['chmod', '.', 0o700],
    ['chown', '.', 3],
    ['utime', '.', 12_345],
  ],
};

for (const [name, ops] of Object.entries(CASES)) {
  test(`overlayDiff() and applyChanges() carry over ${name}`, async () => {
    await assertRoundTrip(BASE, ops);
  });
}

/** Few names, so that operations meet. */
const NAMES = ['a', 'b', '\xff'];
const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const content = fc.string({ maxLength: 20 }).map((text) => Buffer.from(text).toString('latin1'));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(fc.constantFrom('write', 'append', 'touch', 'xattr'), path, content),
  { weight: 3, arbitrary: fc.tuple(fc.constant('mkdir'), path, fc.constant(0)) },
  fc.tuple(fc.constantFrom('link', 'rename', 'symlink'), path, path),
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('remove', 'replace', 'unlink', 'rmdir'), path, fc.constant(0)) },
  fc.tuple(fc.constant('chmod'), path, fc.nat(0o7777)),
  fc.tuple(fc.constant('chown'), path, fc.nat(100_000)),
  fc.tuple(fc.constant('utime'), path, fc.nat(2_000_000_000)),
  fc.tuple(fc.constantFrom('fifo', 'device', 'socket', 'capability'), path, fc.constant(0)),
);

test(`any operations survive diff, archive and apply (${RUNS} runs)`, async () => {
  const ops = fc.array(operation, { minLength: 5, maxLength: 40, size: 'max' });
  await fc.assert(fc.asyncProperty(ops, ops, assertRoundTrip), { numRuns: RUNS });
});
