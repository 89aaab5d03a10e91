import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { diskUsage } from '../store/_check-state.ts';
import type { FullDiskJob, FullDiskReport, SmallDisk } from './_full-disk-worker.ts';
import { inNamespaces } from './_namespaces.ts';
import { prepareReferenceBuild, type ReferenceBuild } from './_reference-build.ts';
import { emptyWorld, type World } from './_world.ts';

/** Sizes of each kind, between what is there and what the build needs. */
const SIZES = Number(process.env['TSBUILD_POINTS'] ?? 6);

let world: World;
let reference: ReferenceBuild;
before(async () => {
  world = emptyWorld();
  reference = await prepareReferenceBuild(world);
});
after(async () => await world[Symbol.asyncDispose]());

async function tryDisks(disks: readonly SmallDisk[]): Promise<void> {
  const job: FullDiskJob = { reference, directory: mkdtempSync(path.join(world.directory, 'worker-')), disks };
  const reports = await inNamespaces<FullDiskReport>('_full-disk-worker', job, disks.length);
  assert.deepEqual(
    reports.filter(({ problems }) => problems.length > 0),
    [],
  );
  const codes = reports.map(({ code }) => code);
  console.log(`exit codes ${codes.join(' ')}`);
  assert.ok(codes.includes(74), 'one of them was too small');
}

function between(low: number, high: number): number[] {
  return Array.from({ length: SIZES }, (_, i) => Math.round(low + ((high - low) * i) / SIZES));
}

test('X6 a build on a full tmpfs, of blocks or of inodes, says so with 74, and goes on from its cache when there is room', async () => {
  const [before, after] = [diskUsage(reference.prepared), reference.clean.usage];
  const blocks = between(before.bytes / 1024 + 16, after.bytes / 1024 + 1024);
  const inodes = between(before.files + 4, after.files + 60);
  await tryDisks([
    ...blocks.map((kib) => ({ tmpfs: `size=${kib}k,mode=0700`, grown: 'size=64m' })),
    ...inodes.map((count) => ({ tmpfs: `size=64m,nr_inodes=${count},mode=0700`, grown: 'nr_inodes=100000' })),
  ]);
});

test('X6 a build on a full ext4 says so with 74, and goes on from its cache when there is room', async () => {
  const kib = between(diskUsage(reference.prepared).bytes / 1024 + 700, reference.clean.usage.bytes / 1024 + 2500);
  await tryDisks(kib.map((size) => ({ ext4: size })));
});
