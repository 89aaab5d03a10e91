/** Runs every workload and prints its figures beside what is promised: `npm run bench`, or one by name. */
import { type Bench, type Figure, openBench } from './_workload.ts';
import { buildsAtOnce } from './builds-at-once.ts';
import { cachedBuild } from './cached-build.ts';
import { compression } from './compression.ts';
import { exportArchive } from './export-archive.ts';
import { largeLayer } from './large-layer.ts';
import { manyFiles } from './many-files.ts';
import { millionFiles } from './million-files.ts';
import { parse } from './parse.ts';
import { runtimes } from './runtimes.ts';
import { smallSteps } from './small-steps.ts';
import { stepOwners } from './step-owners.ts';
import { transfer } from './transfer.ts';
import { trivialRun } from './trivial-run.ts';

const WORKLOADS = new Map<string, (bench: Bench) => Figure[] | Promise<Figure[]>>([
  ['trivial-run', trivialRun],
  ['step-owners', stepOwners],
  ['runtimes', runtimes],
  ['cached-build', cachedBuild],
  ['large-layer', largeLayer],
  ['compression', compression],
  ['many-files', manyFiles],
  ['million-files', millionFiles],
  ['parse', parse],
  ['small-steps', smallSteps],
  ['builds-at-once', buildsAtOnce],
  ['export-archive', exportArchive],
  ['transfer', transfer],
]);

for (const name of process.argv.length > 2 ? process.argv.slice(2) : WORKLOADS.keys()) {
  const workload = WORKLOADS.get(name);
  if (workload === undefined) throw new Error(`No workload ${name}: ${[...WORKLOADS.keys()].join(', ')}`);
  using bench = openBench();
  for (const figure of await workload(bench)) {
    const promise =
      figure.atMost === undefined ? '' : `  (at most ${figure.atMost} ${figure.unit}${figure.value <= figure.atMost ? '' : ', NOT MET'})`;
    console.log(`${figure.name.padEnd(50)} ${figure.value.toFixed(1).padStart(8)} ${figure.unit}${promise}`);
  }
}
