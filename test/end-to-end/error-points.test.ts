import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { after, before, test } from 'node:test';
import { compileTracer, type FaultAction, type FaultPoint, problemsOf, runFaultPoints, sampled, traceReference } from './_fault-points.ts';
import { copyState, prepareReferenceBuild, type ReferenceBuild } from './_reference-build.ts';
import { seededRandom } from './_seeded-random.ts';
import { emptyWorld, type World } from './_world.ts';

const POINTS = Number(process.env['TSBUILD_POINTS'] ?? 120);
const SEED = Number(process.env['TSBUILD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
// A refused call does not ask what the file system has written: a sample is twice as fast in memory.
if (process.env['TSBUILD_POINTS'] === undefined && existsSync('/dev/shm')) process.env['TMPDIR'] = '/dev/shm';

const { ENOSPC, EDQUOT, EIO, EROFS, ESTALE, ENOMEM, EMFILE, ENFILE, EINTR, EAGAIN } = constants.errno;
/** The full disk comes most often, as it does in life. */
const ACTIONS: readonly FaultAction[] = [
  ...[ENOSPC, ENOSPC, EDQUOT, EIO, EIO, EROFS, ESTALE, ENOMEM, EMFILE, ENFILE, EINTR, EAGAIN].map((errno) => `error:${errno}` as const),
  'short',
];

let world: World;
let reference: ReferenceBuild;
before(async () => {
  world = emptyWorld();
  reference = await prepareReferenceBuild(world);
});
after(async () => await world[Symbol.asyncDispose]());

test(`X6 X7 an error of the kernel at ${POINTS} system calls of a build is told, or does no harm; the next build is right`, {
  timeout: 180 * 60_000,
}, async () => {
  const tracer = compileTracer(world.directory);
  const state = `${world.directory}/counted`;
  copyState(reference.prepared, state);
  const { points: all } = await traceReference(reference, state, { tracer, action: 'count', at: 0 });
  const random = seededRandom(SEED);
  const writes = new Set(all.filter(({ call }) => call.includes('write')).map(({ number }) => number));
  const atEnd = new Set(all.filter(isAtEnd).map(({ number }) => number));
  const points = sampled(all.length, POINTS, random)
    .filter((at) => !atEnd.has(at))
    .map((at) => {
      const actions = ACTIONS.filter((action) => action !== 'short' || writes.has(at));
      return { action: actions[Math.floor(random() * actions.length)] ?? 'count', at };
    });
  console.log(`${points.length} of ${all.length} calls: TSBUILD_SEED=${SEED} TSBUILD_POINTS=${POINTS} repeats it`);
  const reached = await runFaultPoints({ reference, tracer, points: [...refusedLocks(all), ...points] });
  // No two builds make quite as many calls.
  const reports = reached.filter(({ point }) => point === undefined || !isAtEnd(point));
  const ends = new Map<string, number>();
  for (const { end } of reports) ends.set(end, (ends.get(end) ?? 0) + 1);
  console.log(`ended with ${[...ends].map(([end, count]) => `${end} ×${count}`).join(', ')}`);
  assert.deepEqual(problemsOf(reports), []);
});

/** What koffi syncs when the process ends (cli/main.ts): no kernel has an error for that. */
function isAtEnd({ call, about }: FaultPoint): boolean {
  return call === 'fsync' && about === '/dev/null';
}

/** One lock of each kind, as if another process held it. */
function refusedLocks(all: readonly FaultPoint[]): { action: FaultAction; at: number }[] {
  const kinds = new Map<string, number>();
  for (const { call, about, number } of all) {
    const kind = about.replace(/.*\/counted\//, '').replace(/[0-9a-z-]{8,}/g, '*');
    if (call === 'flock' && !kinds.has(kind)) kinds.set(kind, number);
  }
  return [...kinds.values()].map((at) => ({ action: `error:${EAGAIN}`, at }));
}
