/** Runs in namespaces of its own: builds on a file system that loses its power. A PowerJob on standard input, a PowerReport a line on standard output. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkState, entryCounts, referenced } from '../store/_check-state.ts';
import { fsck } from '../store/_fsck.ts';
import { KEPT, outcomeOf, type ReferenceBuild, runReference, TAGGED } from './_reference-build.ts';

export interface PowerJob {
  readonly reference: ReferenceBuild;
  readonly losePower: string;
  /** The file system with the prepared state in `state`. */
  readonly image: string;
  /** Of this worker alone. */
  readonly directory: string;
  /** Milliseconds after the build's start, or when it has ended. */
  readonly moments: readonly (number | 'end')[];
}

export interface PowerReport {
  readonly moment: number | 'end';
  /** Whether the build had said that it was done. */
  readonly isDone: boolean;
  /** Records whose content was lost, since nothing waits for the disk to have it. */
  readonly tornRecords: number;
  readonly problems: readonly string[];
}

/** Files whose data is not there when the journal says that they are: whoever renames without fsync loses. */
const OPTIONS = 'loop,data=writeback,noauto_da_alloc,noatime';

const job = (await json(process.stdin)) as PowerJob;
const mount = path.join(job.directory, 'mount');
const state = path.join(mount, 'state');
const [running, lost] = ['running.img', 'lost.img'].map((name) => path.join(job.directory, name));
if (running === undefined || lost === undefined) throw new Error('Two names');
mkdirSync(mount, { recursive: true });
const bootId = path.join(job.directory, 'boot-id');
startMachine();
run('mount', '--bind', bootId, '/proc/sys/kernel/random/boot_id');
for (const moment of job.moments) console.log(JSON.stringify(await tryMoment(moment)));
rmSync(job.directory, { recursive: true, force: true });

async function tryMoment(moment: number | 'end'): Promise<PowerReport> {
  run('cp', '--sparse=always', job.image, running as string);
  run('mount', '-o', OPTIONS, running as string, mount);
  startMachine();
  const building = runReference(job.reference, state);
  const first = await (moment === 'end' ? building : Promise.race([building, sleep(moment)]));
  run(job.losePower, mount);
  run('cp', '--sparse=always', running as string, lost as string);
  const isDone = first?.code === 0;
  await building;
  run('umount', mount);
  run('mount', '-o', OPTIONS, lost as string, mount);
  startMachine();
  try {
    const tornRecords = checkState(state, 'crashed').filter(isLostRecord).length;
    return { moment, isDone, tornRecords, problems: await afterwards(isDone) };
  } finally {
    run('umount', mount);
  }
}

async function afterwards(isDone: boolean): Promise<string[]> {
  const { clean, kept } = job.reference;
  const problems = fsck(state).map((fault) => `at once: ${fault}`);
  if (referenced(state, KEPT) !== kept) problems.push('the older image is gone');
  if (isDone && referenced(state, TAGGED) !== clean.digest) problems.push('the new image is gone');
  const result = await runReference(job.reference, state);
  if (result.code !== 0) return [...problems, `the next build ended with ${result.code}: ${result.stderr.slice(-600)}`];
  const { digest, archive } = outcomeOf(state, result);
  if (digest !== clean.digest || archive !== clean.archive) problems.push(`the next build made ${digest}`);
  problems.push(...checkState(state, 'settled').filter((fault) => !isLostRecord(fault)));
  const counts = entryCounts(state);
  for (const place of ['blobs/sha256', 'refs'])
    if (counts[place] !== clean.entries[place]) problems.push(`left: ${counts[place]} in ${place}`);
  // Those of the older image are not made again.
  for (const place of ['snapshots/d', 'snapshots/names'])
    if ((counts[place] ?? 0) > (clean.entries[place] ?? 0)) problems.push(`left: ${counts[place]} in ${place}`);
  return problems;
}

/** Records are not synced: a torn one is a miss. Snapshots have new names after it, so that nobody asks for it again. */
function isLostRecord(fault: string): boolean {
  return /^record (steps|layers|accounts|contexts|downloads)\/[a-f0-9]{64} is torn$/.test(fault);
}

/** A new boot has another ID (random(4)). The file is mounted in place of the kernel's. */
function startMachine(): void {
  writeFileSync(bootId, `${randomUUID()}\n`);
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
