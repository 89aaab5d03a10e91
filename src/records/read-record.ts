/** A record as its files tell it, whether its build has ended or not. */
import { closeSync, constants, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../oci/digest.ts';
import type { BuildRecord, BuildState, BuildSummary, RecordedStage, RecordedStep } from './build-record.ts';
import { FINISHED, isMissing, lifeOf, PART, PINNED, recordsIn } from './record-directory.ts';
import { type BuildLine, type EndLine, FORMAT, type PlanLine, parseLine, type RecordLine } from './record-lines.ts';

/** A first and a last line are seldom longer. */
const ENDS_BYTES = 64 << 10;
const ALL_BYTES_MAX = 64 << 20;

interface Source {
  readonly id: string;
  readonly directory: string;
  readonly life: 'finished' | 'running' | 'interrupted';
  readonly fd: number;
}

/** undefined where it has gone, or another version wrote it. */
export function readSummary(root: string, id: string): BuildSummary | undefined {
  return withSource(root, id, (source) => {
    const { size } = fstatSync(source.fd);
    const head = readText(source.fd, 0, Math.min(size, ENDS_BYTES));
    const tail = size <= ENDS_BYTES ? head : readText(source.fd, size - ENDS_BYTES, ENDS_BYTES);
    const first = firstLine(head);
    const last = source.life === 'finished' ? lastLine(tail) : undefined;
    if (first !== undefined && (source.life !== 'finished' || last !== undefined)) return summaryOf(source, first, last);
    return readWhole(source);
  });
}

/** All of it but the logs. */
export function readBuildRecord(root: string, id: string): BuildRecord | undefined {
  return withSource(root, id, readWhole);
}

/** Position of a step's log: that of the step among those of the plan, each once. */
export function stepPositions(stages: readonly { readonly steps: readonly { readonly id: string }[] }[]): ReadonlyMap<string, number> {
  const positions = new Map<string, number>();
  for (const { steps } of stages) for (const { id } of steps) if (!positions.has(id)) positions.set(id, positions.size);
  return positions;
}

export function logFile(root: string, id: string, position: number): string {
  return join(recordsIn(root), id, `log-${position}`);
}

function withSource<T>(root: string, id: string, read: (source: Source) => T): T | undefined {
  const directory = join(recordsIn(root), id);
  // A build may end between a look and the next.
  for (let tries = 0; tries < 3; tries++) {
    const life = lifeOf(directory);
    if (life === 'gone') return undefined;
    let fd: number;
    try {
      fd = openSync(join(directory, life === 'finished' ? FINISHED : PART), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (isMissing(error)) continue;
      throw error;
    }
    try {
      return read({ id, directory, life, fd });
    } finally {
      closeSync(fd);
    }
  }
  return undefined;
}

function readText(fd: number, at: number, length: number): string {
  const bytes = Buffer.alloc(length);
  let got = 0;
  while (got < length) {
    const count = readSync(fd, bytes, got, length - got, at + got);
    if (count === 0) break;
    got += count;
  }
  return bytes.toString('utf8', 0, got);
}

function firstLine(text: string): BuildLine | undefined {
  const end = text.indexOf('\n');
  const line = end < 0 ? undefined : parseLine(text.slice(0, end));
  return line?.kind === 'build' && line.format === FORMAT ? line : undefined;
}

function lastLine(text: string): EndLine | undefined {
  const line = parseLine(text.trimEnd().split('\n').at(-1) ?? '');
  return line?.kind === 'finish' ? line : undefined;
}

function summaryOf({ id, directory, life }: Source, first: BuildLine, last: EndLine | undefined): BuildSummary {
  const state: BuildState = last?.state ?? (life === 'running' ? 'running' : 'interrupted');
  return {
    ...{ id, state, isPinned: existsSync(join(directory, PINNED)), startedAt: first.startedAt, durationMs: last?.at },
    ...{ asked: first.asked, steps: last?.steps, digest: last?.digest as Digest | undefined },
  };
}

function readWhole(source: Source): BuildRecord | undefined {
  const size = Math.min(fstatSync(source.fd).size, ALL_BYTES_MAX);
  const lines = readText(source.fd, 0, size)
    .split('\n')
    .map(parseLine)
    .filter((line) => line !== undefined);
  const of = <K extends RecordLine['kind']>(kind: K) =>
    lines.filter((line): line is Extract<RecordLine, { kind: K }> => line.kind === kind);
  const [first] = of('build');
  if (first?.format !== FORMAT) return undefined;
  const last = of('finish').at(-1);
  const plan = of('plan').at(-1);
  const images = of('images').flatMap((line) => line.images);
  return {
    ...summaryOf(source, first, last),
    madeBy: first.madeBy,
    dockerfile: plan?.dockerfile,
    stages: stagesOf(source.directory, plan, { lines, images }),
    transfers: of('transfer').map(({ kind: _, ...transfer }) => transfer),
    warnings: of('warning').map(({ kind: _, ...warning }) => warning),
    images,
    outputs: of('output').map(({ kind: _, ...output }) => output),
    error: last?.error,
    isCut: of('cut').length > 0,
  };
}

type Happened = Pick<RecordedStep, 'startedMs' | 'endedMs' | 'outcome' | 'reasons' | 'exitCode' | 'signal'>;

function stagesOf(
  directory: string,
  plan: PlanLine | undefined,
  { lines, images }: { readonly lines: readonly RecordLine[]; readonly images: BuildRecord['images'] },
): RecordedStage[] {
  if (plan === undefined) return [];
  const happened = happenedOf(lines);
  const positions = stepPositions(plan.stages);
  const layersOf = (step: string) =>
    images.flatMap(({ layers }) => layers.filter((layer) => layer.step === step).map(({ step: _, ...layer }) => layer));
  return plan.stages.map((stage) => ({
    ...stage,
    steps: stage.steps.map((step): RecordedStep => {
      const log = join(directory, `log-${positions.get(step.id)}`);
      const logBytes = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
      return { ...step, ...(happened.get(step.id) ?? NOTHING), logBytes, layers: layersOf(step.id) };
    }),
  }));
}

const NOTHING: Happened = {
  ...{ startedMs: undefined, endedMs: undefined, outcome: undefined, reasons: [], exitCode: undefined, signal: undefined },
};

function happenedOf(lines: readonly RecordLine[]): ReadonlyMap<string, Happened> {
  const steps = new Map<string, Happened>();
  for (const line of lines) {
    if (line.kind !== 'start' && line.kind !== 'miss' && line.kind !== 'end') continue;
    const before = steps.get(line.step) ?? NOTHING;
    if (line.kind === 'start') steps.set(line.step, { ...before, startedMs: line.at });
    else if (line.kind === 'miss') steps.set(line.step, { ...before, reasons: line.reasons });
    else steps.set(line.step, { ...before, endedMs: line.at, outcome: line.outcome, exitCode: line.exitCode, signal: line.signal });
  }
  return steps;
}
