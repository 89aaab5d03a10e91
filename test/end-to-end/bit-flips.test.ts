import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Damage, DamageJob, DamageReport } from './_damage-worker.ts';
import { inNamespaces } from './_namespaces.ts';
import { copyState, filesIn, KEPT, prepareReferenceBuild, type ReferenceBuild, runReference, STAGES } from './_reference-build.ts';
import { seededRandom } from './_seeded-random.ts';
import { emptyWorld, type World } from './_world.ts';

const FLIPS = Number(process.env['TSBUILD_POINTS'] ?? 200);
const SEED = Number(process.env['TSBUILD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
if (process.env['TSBUILD_POINTS'] === undefined && existsSync('/dev/shm')) process.env['TMPDIR'] = '/dev/shm';

let world: World;
let reference: ReferenceBuild;
let finished: string;
let savedKept: string;
let files: string[];
before(async () => {
  world = emptyWorld();
  reference = await prepareReferenceBuild(world);
  finished = path.join(world.directory, 'finished');
  copyState(reference.prepared, finished);
  assert.equal((await runReference(reference, finished)).code, 0);
  const saved = path.join(world.directory, 'kept.tar');
  await world.succeed(['save', KEPT, '-o', saved], { root: finished });
  files = await Promise.all(STAGES.map(filesOfStage));
  savedKept = createHash('sha256').update(readFileSync(saved)).digest('hex');
});

async function filesOfStage(target: string): Promise<string> {
  const file = path.join(world.directory, `stage-${target}.tar`);
  const settings = ['--secret', `id=s,src=${path.join(world.directory, 'secret')}`, '--build-arg', 'SOURCE_DATE_EPOCH=1700000000'];
  const args = [...settings, '--target', target, '-o', `type=tar,dest=${file}`, path.join(world.directory, 'context')];
  await world.succeed(args, { root: finished });
  return filesIn(file);
}

after(async () => await world[Symbol.asyncDispose]());

/** Files of the store that are ours to vouch for, relative to it; empty ones have no bits. Those of cache mounts are the steps' own. */
function storedFiles(directory = finished): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) return file.endsWith('/cache/mounts') ? [] : storedFiles(file);
    return entry.isFile() && statSync(file).size > 0 ? [path.relative(finished, file)] : [];
  });
}

/** Of the file in which byte number `at` of all files lies. */
function indexAt(sizes: readonly number[], at: number): number {
  let end = 0;
  return sizes.findIndex((size) => {
    end += size;
    return at < end;
  });
}

async function inflict(damages: readonly Damage[]): Promise<DamageReport[]> {
  const workers = [0, 1].map(async (worker) => {
    const mine = damages.filter((_, index) => index % 2 === worker);
    const directory = mkdtempSync(path.join(world.directory, 'worker-'));
    const job: DamageJob = { reference, finished, directory, savedKept, files, damages: mine };
    return await inNamespaces<DamageReport>('_damage-worker', job, mine.length);
  });
  return (await Promise.all(workers)).flat();
}

function tell(reports: readonly DamageReport[]): void {
  const counts = new Map<string, number>();
  for (const { outcomes } of reports) {
    const kind = outcomes.map((outcome) => outcome.split(' ').slice(0, 2).join(' ')).join(', ');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  console.log([...counts].map(([kind, count]) => `${kind} ×${count}`).join('; '));
  assert.deepEqual(
    reports.filter(({ problems }) => problems.length > 0),
    [],
  );
}

test(`X18 none of ${FLIPS} bits that flip in the store gets into an image: it is healed, or refused by name`, {
  timeout: 180 * 60_000,
}, async () => {
  const random = seededRandom(SEED);
  const files = storedFiles();
  console.log(`${files.length} files: TSBUILD_SEED=${SEED} TSBUILD_POINTS=${FLIPS} repeats it`);
  // Half by file, so that the small ones, which say most, get their share; half by byte.
  const sizes = files.map((file) => statSync(path.join(finished, file)).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const flips = Array.from({ length: FLIPS }, (_, i): Damage => {
    const index = i % 2 === 0 ? Math.floor(random() * files.length) : indexAt(sizes, random() * total);
    return { kind: 'flip', file: files[index] ?? '', bit: Math.floor(random() * (sizes[index] ?? 0) * 8) };
  });
  tell(await inflict(flips));
});

test('K4 X19 each file of the store that is deleted, cut, emptied, zeroed, lengthened or swapped is healed, or refused by name', {
  timeout: 180 * 60_000,
}, async () => {
  const random = seededRandom(SEED + 1);
  const files = storedFiles();
  const damages = files.flatMap((file): Damage[] => {
    const kinds = (['delete', 'truncate', 'empty', 'zero', 'extend'] as const).map((kind) => ({ kind, file }));
    const beside = files.filter((other) => other !== file && path.dirname(other) === path.dirname(file));
    const other = beside[Math.floor(random() * beside.length)];
    const all: Damage[] = other === undefined ? kinds : [...kinds, { kind: 'swap', file, other }];
    // All of them with as many points as a soak has.
    return FLIPS > 1000 ? all : [all[Math.floor(random() * all.length)] as Damage];
  });
  tell(await inflict(damages));
});
