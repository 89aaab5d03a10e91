import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { compileTracer, type FaultPoint, problemsOf, runFaultPoints, sampled, traceReference } from './_fault-points.ts';
import { copyState, prepareReferenceBuild, type ReferenceBuild } from './_reference-build.ts';
import { seededRandom } from './_seeded-random.ts';
import { emptyWorld, type World } from './_world.ts';

const POINTS = Number(process.env['TSBUILD_POINTS'] ?? 450);
// A kill does not ask what the file system has written: a sample is twice as fast in memory.
if (process.env['TSBUILD_POINTS'] === undefined && existsSync('/dev/shm')) process.env['TMPDIR'] = '/dev/shm';
const SEED = Number(process.env['TSBUILD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

let world: World;
let reference: ReferenceBuild;
let tracer: string;
before(async () => {
  world = emptyWorld();
  reference = await prepareReferenceBuild(world);
  tracer = compileTracer(world.directory);
});
after(async () => await world[Symbol.asyncDispose]());

async function allPoints(): Promise<readonly FaultPoint[]> {
  const state = `${world.directory}/counted`;
  copyState(reference.prepared, state);
  const { points, result } = await traceReference(reference, state, { tracer, action: 'kill', at: 0 });
  assert.equal(result.code, 0, result.stderr);
  return points;
}

/** Where something gets its name, and right after: between two of these a snapshot would be lost, or a record lead nowhere. */
function commitPoints(points: readonly FaultPoint[]): number[] {
  const commits = points.filter(({ call, about }) => /^(symlink|rename)/.test(call) && /\/(names|steps|layers|refs)\/[^/]+$/.test(about));
  return commits.flatMap(({ number }) => [number, number + 1, number + 2]);
}

test(`X1 SIGKILL at ${POINTS} system calls of a build that change something leaves a sound store, and the next build repairs the rest`, {
  timeout: 180 * 60_000,
}, async () => {
  const points = await allPoints();
  assert.ok(points.length > 1000, `${points.length} calls`);
  const chosen = [...new Set([...sampled(points.length, POINTS, seededRandom(SEED)), ...commitPoints(points)])];
  console.log(`${chosen.length} of ${points.length} calls: TSBUILD_SEED=${SEED} TSBUILD_POINTS=${POINTS} repeats it`);
  const reports = await runFaultPoints({ reference, tracer, points: chosen.map((at) => ({ action: 'kill', at })) });
  const killed = reports.filter(({ end }) => end === 'SIGKILL').length;
  console.log(`${killed} killed; processes were gone after ${Math.max(...reports.map(({ goneMs }) => goneMs))} ms at most`);
  assert.deepEqual(problemsOf(reports), []);
  // Threads and processes take turns: the last calls of one run may be missing in another.
  assert.ok(killed > chosen.length * 0.97, `${killed} of ${chosen.length}`);
});

test('X2 SIGKILL of whichever process makes one of 50 system calls is an error or the right image, and nothing is left', async () => {
  const { length } = await allPoints();
  const chosen = sampled(length, Math.ceil(POINTS / 9), seededRandom(SEED + 1));
  const reports = await runFaultPoints({ reference, tracer, points: chosen.map((at) => ({ action: 'kill-caller', at })) });
  assert.deepEqual(problemsOf(reports), []);
  assert.deepEqual(
    reports.filter(({ end }) => !['0', '1', 'SIGKILL'].includes(end)),
    [],
  );
});
