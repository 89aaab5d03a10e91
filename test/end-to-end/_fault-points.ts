/** The system calls of the reference build, and what happens when it is killed, or refused something, at one of them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { inNamespaces } from './_namespaces.ts';
import { type ReferenceBuild, runReference } from './_reference-build.ts';
import type { CommandResult } from './_world.ts';

/** A call that changes something. */
export interface FaultPoint {
  readonly number: number;
  /** `main`, `pool`, `child` of tsbuild before it executes a program, or that program. */
  readonly whose: string;
  readonly call: string;
  readonly about: string;
}

/** As `_syscall-faults.c` says. */
export type FaultAction = 'count' | 'kill' | 'kill-caller' | 'short' | `error:${number}`;

export interface Traced {
  readonly result: CommandResult;
  /** All of them for `count`, else the one where it happened; none where the build had fewer. */
  readonly points: readonly FaultPoint[];
  /** Milliseconds by which processes outlived tsbuild; undefined where some still lived after three seconds. */
  readonly goneMs: number | undefined;
}

export function compileTracer(directory: string): string {
  const program = path.join(directory, 'syscall-faults');
  execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-o', program, path.resolve('test/end-to-end/_syscall-faults.c')]);
  return program;
}

export async function traceReference(
  reference: Pick<ReferenceBuild, 'world'>,
  state: string,
  { tracer, action, at }: { tracer: string; action: FaultAction; at: number },
): Promise<Traced> {
  const log = `${state}.log`;
  const result = await runReference(reference, state, ['timeout', '-s', 'KILL', String(HUNG_SECONDS), tracer, log, action, String(at)]);
  const lines = existsSync(log) ? readFileSync(log, 'latin1').trimEnd().split('\n') : [];
  const gone = lines.find((line) => line.startsWith('gone\t'))?.split('\t')[1];
  return { result: endOf(lines, result), points: lines.flatMap(pointOf), goneMs: gone === undefined ? undefined : Number(gone) };
}

/** A build takes less than one. */
const HUNG_SECONDS = 60;

function endOf(lines: readonly string[], result: CommandResult): CommandResult {
  const [, how, what] = lines.find((line) => line.startsWith('end\t'))?.split('\t') ?? [];
  if (how === undefined) return { ...result, code: null, signal: null, stderr: `It hung: ${result.stderr}` };
  return { ...result, code: how === 'code' ? Number(what) : null, signal: how === 'signal' ? 'SIGKILL' : null };
}

function pointOf(line: string): FaultPoint[] {
  const [number = '', whose = '', call = '', about = ''] = line.split('\t');
  return /^\d+$/.test(number) ? [{ number: Number(number), whose, call, about }] : [];
}

/** What a worker is to do: `_fault-worker.ts` runs it in namespaces of its own. */
export interface FaultJob {
  readonly reference: ReferenceBuild;
  readonly tracer: string;
  readonly state: string;
  readonly points: readonly { readonly action: FaultAction; readonly at: number }[];
}

export interface FaultReport {
  readonly action: FaultAction;
  readonly at: number;
  readonly point: FaultPoint | undefined;
  /** How the build ended: a code, `SIGKILL`. */
  readonly end: string;
  readonly goneMs: number;
  readonly problems: readonly string[];
}

/** Two workers, each in namespaces of its own. */
export async function runFaultPoints(job: Omit<FaultJob, 'state'>): Promise<FaultReport[]> {
  const workers = [0, 1].map(async (worker) => {
    const points = job.points.filter((_, index) => index % 2 === worker);
    const mine: FaultJob = { ...job, points, state: path.join(job.reference.world, `state-${worker}`) };
    return await inNamespaces<FaultReport>('_fault-worker', mine, points.length);
  });
  return (await Promise.all(workers)).flat().toSorted((a, b) => a.at - b.at);
}

/** `count` numbers out of 1 to `total`, one from each of so many stretches: all where there are no more. */
export function sampled(total: number, count: number, random: () => number): number[] {
  if (count >= total) return Array.from({ length: total }, (_, i) => i + 1);
  return Array.from({ length: count }, (_, i) => 1 + Math.floor(((i + random()) * total) / count));
}

/** One line for each kind of problem, with the first point where it came, and how often it came. */
export function problemsOf(reports: readonly FaultReport[]): string[] {
  const kinds = new Map<string, { readonly first: string; count: number }>();
  for (const { action, at, point, end, problems } of reports) {
    for (const problem of problems) {
      const kind = problem.replace(/[0-9a-f]{6,}|[0-9]+/g, '#');
      const first = `${action} at ${at} (${point?.whose} ${point?.call} ${point?.about}) → ${end}: ${problem}`;
      const known = kinds.get(kind) ?? { first, count: 0 };
      known.count++;
      kinds.set(kind, known);
    }
  }
  return [...kinds.values()].map(({ first, count }) => (count === 1 ? first : `×${count}, first ${first}`));
}
