import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { inNamespaces } from './_namespaces.ts';
import type { PowerJob, PowerReport } from './_power-worker.ts';
import { prepareReferenceBuild, type ReferenceBuild } from './_reference-build.ts';
import { seededRandom } from './_seeded-random.ts';
import { emptyWorld, type World } from './_world.ts';

const MOMENTS = Number(process.env['TSBUILD_POINTS'] ?? 10);
const SEED = Number(process.env['TSBUILD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

let world: World;
let reference: ReferenceBuild;
let losePower: string;
let image: string;
let buildMs: number;
before(async () => {
  world = emptyWorld();
  const began = performance.now();
  reference = await prepareReferenceBuild(world);
  // Three commands, of which the build is the longest.
  buildMs = performance.now() - began;
  losePower = path.join(world.directory, 'lose-power');
  execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-o', losePower, path.resolve('test/end-to-end/_lose-power.c')]);
  image = path.join(world.directory, 'prepared.img');
  const files = path.join(world.directory, 'files');
  mkdirSync(files);
  execFileSync('cp', ['-a', reference.prepared, path.join(files, 'state')]);
  execFileSync('truncate', ['-s', '96M', image]);
  execFileSync('mkfs.ext4', ['-q', '-d', files, '-E', 'lazy_itable_init=0', image]);
});
after(async () => await world[Symbol.asyncDispose]());

async function tryMoments(moments: PowerJob['moments']): Promise<PowerReport[]> {
  const workers = [0, 1].map(async (worker) => {
    const mine = moments.filter((_, index) => index % 2 === worker);
    const job: PowerJob = { reference, losePower, image, directory: mkdtempSync(path.join(world.directory, 'worker-')), moments: mine };
    return await inNamespaces<PowerReport>('_power-worker', job, mine.length);
  });
  return (await Promise.all(workers)).flat();
}

test('X5 an image survives a loss of power right after its build has ended', async () => {
  const reports = await tryMoments(Array.from({ length: Math.max(4, Math.ceil(MOMENTS / 10)) }, () => 'end' as const));
  assert.ok(reports.every(({ isDone }) => isDone));
  assert.ok(
    reports.some(({ tornRecords }) => tornRecords > 0),
    'the loss of power took what nobody had synced',
  );
  assert.deepEqual(
    reports.filter(({ problems }) => problems.length > 0),
    [],
  );
});

test(`X5 a loss of power at ${MOMENTS} random moments of a build loses no image, and the next command heals the rest`, {
  timeout: 180 * 60_000,
}, async () => {
  const random = seededRandom(SEED);
  console.log(`TSBUILD_SEED=${SEED} TSBUILD_POINTS=${MOMENTS} chooses the same moments`);
  const reports = await tryMoments(Array.from({ length: MOMENTS }, () => Math.ceil(random() * 1.5 * buildMs)));
  console.log(`${reports.filter(({ isDone }) => isDone).length} builds had ended before`);
  assert.deepEqual(
    reports.filter(({ problems }) => problems.length > 0),
    [],
  );
});
