/** Runs in namespaces of its own: a FaultJob on standard input, a FaultReport a line on standard output. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkState, diskUsage, entryCounts, referenced } from '../store/_check-state.ts';
import { type FaultAction, type FaultJob, type FaultReport, type Traced, traceReference } from './_fault-points.ts';
import { archiveOf, copyState, KEPT, outcomeOf, type ReferenceBuild, runReference } from './_reference-build.ts';
import type { CommandResult } from './_world.ts';

const job = (await json(process.stdin)) as FaultJob;
const { reference, state } = job;
const before = machineState();
for (const { action, at } of job.points) console.log(JSON.stringify(await tryPoint(action, at)));
for (const each of [state, `${state}-out`, `${state}.log`]) rmSync(each, { recursive: true, force: true });

async function tryPoint(action: FaultAction, at: number): Promise<FaultReport> {
  copyState(reference.prepared, state);
  rmSync(`${state}-out`, { recursive: true, force: true });
  const traced = await traceReference(reference, state, { tracer: job.tracer, action, at });
  const groups = recordedGroups();
  const problems = [
    ...(await afterFault(action, traced)),
    ...(await afterNextBuild()),
    ...groups.filter(existsSync).map((group) => `left: ${group}`),
  ];
  const { code, signal } = traced.result;
  return { action, at, point: traced.points[0], end: String(code ?? signal), goneMs: traced.goneMs ?? Number.NaN, problems };
}

async function afterFault(action: FaultAction, { result, goneMs }: Traced): Promise<string[]> {
  const problems = checkState(state, 'crashed').map((fault) => `at once: ${fault}`);
  if (goneMs === undefined || goneMs > 1000) problems.push(`processes outlived tsbuild by ${goneMs} ms`);
  for (const each of await leftAfterASecond()) problems.push(`left on the machine: ${each}`);
  if (referenced(state, KEPT) !== reference.kept) problems.push('the older image is gone');
  if (action.startsWith('error') || action === 'short') problems.push(...badEnd(result));
  return problems;
}

/** Without a kill a build says what it has made, or why it could not. */
function badEnd(result: CommandResult): string[] {
  if (result.code === 0) return wrongOutcome(reference, result);
  if (result.code === 70) return [`a bug: ${result.stderr.slice(-1500)}`];
  const error = /ERR_TSBUILD_\w+: .*/.exec(result.stderr)?.[0];
  if (error === undefined) return [`no error is told: ${result.stderr.slice(-600)}`];
  if (/\bUNKNOWN\b/.test(error)) return [`the reason has no name: ${error}`];
  const spaceless = /ENOSPC|EDQUOT|NO_SPACE|disk is full|quota/.test(error);
  return spaceless === (result.code === 74) ? [] : [`exit code ${result.code} for ${error}`];
}

async function afterNextBuild(): Promise<string[]> {
  const result = await runReference(reference, state);
  if (result.code !== 0) return [`the next build ended with ${result.code}: ${result.stderr.slice(-600)}`];
  const problems = [...wrongOutcome(reference, result), ...checkState(state, 'settled')];
  const [usage, most] = [diskUsage(state), reference.clean];
  if (usage.bytes > most.usage.bytes * 1.05 || usage.files > most.usage.files * 1.05)
    problems.push(`left: ${usage.bytes} bytes in ${usage.files} files, clean are ${most.usage.bytes} in ${most.usage.files}`);
  for (const [place, count] of Object.entries(entryCounts(state)))
    if (count !== most.entries[place]) problems.push(`left: ${count} instead of ${most.entries[place]} in ${place}`);
  const files = readdirSync(`${state}-out`);
  if (files.length !== 1) problems.push(`left beside the archive: ${files}`);
  return problems;
}

function wrongOutcome({ clean }: ReferenceBuild, result: CommandResult): string[] {
  const { digest, archive } = outcomeOf(state, result);
  return [
    ...(digest === clean.digest ? [] : [`the digest is ${digest}`]),
    ...(archive === clean.archive ? [] : [`the archive ${archiveOf(state)} is ${archive}`]),
  ];
}

/** What a container could leave beside processes, which the tracer follows: mounts and interfaces of this namespace. */
function machineState(): readonly string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'latin1').trimEnd().split('\n');
  const interfaces = [...readFileSync('/proc/self/net/dev', 'latin1').matchAll(/^ *(\S+):/gm)].map(([, name]) => `interface ${name}`);
  return [...mounts.map((line) => `mount ${line.split(' ', 5)[0]} ${line.split(' ', 5)[4]}`), ...interfaces];
}

/** A mount may go because somebody else on the machine removes what it lies on. */
function leftOnMachine(): readonly string[] {
  return machineState().filter((each) => !before.includes(each));
}

/** The kernel takes a network namespace apart a little after its last process. */
async function leftAfterASecond(): Promise<readonly string[]> {
  for (let waited = 0; waited < 1000 && leftOnMachine().length > 0; waited += 5) await sleep(5);
  return leftOnMachine();
}

function recordedGroups(): string[] {
  const records = path.join(state, 'cgroups');
  if (!existsSync(records)) return [];
  return readdirSync(records).flatMap((name) => readFileSync(path.join(records, name), 'utf8').trim().split('\n').filter(Boolean));
}
