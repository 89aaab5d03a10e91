/** `tsbuild builds`: what is remembered of builds, and for how long. Nothing here runs or changes a build. */
import { closeSync, constants, createReadStream, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { defaultRoot } from '../default-root.ts';
import { TsbuildError } from '../errors.ts';
import { suggest } from '../parser/suggest.ts';
import type { BuildRecord, BuildSummary, RecordedStep } from '../records/build-record.ts';
import { findRecord, randomPart } from '../records/find-record.ts';
import { logFile, readBuildRecord, readSummary, stepPositions } from '../records/read-record.ts';
import { isMissing, lifeOf, PINNED, recordIds, recordsIn, removeRecord } from '../records/record-directory.ts';
import { prepareStateDirectory } from '../store/state-directory.ts';
import { andMore } from '../text/and-more.ts';

export interface BuildsOptions {
  /** The state directory; by default as for a build. */
  readonly root?: string | undefined;
}

export interface OneBuildOptions extends BuildsOptions {
  /** An id, the beginning of one, or of its random end; by default the latest build. */
  readonly id?: string | undefined;
}

export interface StepLog {
  readonly step: RecordedStep;
  /** As `step`s of the whole build are counted, from 1. */
  readonly number: number;
  /** What it wrote: bytes of both streams as they came, colours and all. */
  chunks(): AsyncIterable<Buffer>;
}

const LISTED_MAX = 5;

/** The newest first. Throws STORE_INVALID. */
export function listBuilds(options: BuildsOptions = {}): Promise<BuildSummary[]> {
  return Promise.resolve().then(() => {
    const root = rootOf(options);
    return recordIds(root).flatMap((id) => readSummary(root, id) ?? []);
  });
}

/** Throws BUILD_NOT_FOUND, as all that follow. */
export function inspectBuild(options: OneBuildOptions = {}): Promise<BuildRecord> {
  return Promise.resolve().then(() => recordOf(rootOf(options), options.id));
}

/** The logs of all steps that wrote something, or of the step with that number of the build, or that id, such as `build/3`. */
export function buildLog(options: OneBuildOptions & { readonly step?: number | string | undefined } = {}): Promise<StepLog[]> {
  return Promise.resolve().then(() => {
    const root = rootOf(options);
    const record = recordOf(root, options.id);
    return logsOf(root, record, chosenSteps(record, options.step));
  });
}

/** Takes records away, pages too: those named, or with `all` every one that is not pinned. Returns their ids. Throws BUILD_RUNNING. */
export function removeBuilds(options: BuildsOptions & ({ readonly ids: readonly string[] } | { readonly all: true })): Promise<string[]> {
  return Promise.resolve().then(() => {
    const root = rootOf(options);
    const all = recordIds(root);
    const isLeft = (id: string): boolean => readSummary(root, id)?.isPinned === true || lifeOf(join(recordsIn(root), id)) === 'running';
    const ids = 'all' in options ? all.filter((id) => !isLeft(id)) : options.ids.map((name) => idOf(all, name));
    for (const id of ids) checkEnded(root, id);
    for (const id of ids) removeRecord(root, id);
    return ids;
  });
}

/** Keeps records until they are removed, or, with `keep: 'as others'`, no longer than others. Returns their ids. */
export function pinBuilds(
  options: BuildsOptions & { readonly ids: readonly string[]; readonly keep?: 'as others' | undefined },
): Promise<string[]> {
  return Promise.resolve().then(() => {
    const root = rootOf(options);
    const all = recordIds(root);
    const ids = options.ids.map((name) => idOf(all, name));
    for (const id of ids) {
      const file = join(recordsIn(root), id, PINNED);
      if (options.keep === 'as others') rmSync(file, { force: true });
      else closeSync(openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
    }
    return ids;
  });
}

export function rootOf({ root = defaultRoot() }: BuildsOptions): string {
  prepareStateDirectory(root);
  return root;
}

export function recordOf(root: string, name: string | undefined): BuildRecord {
  const ids = recordIds(root);
  const [latest] = ids;
  if (latest === undefined) {
    throw new TsbuildError('BUILD_NOT_FOUND', 'Cannot find a build: there are no records', {
      hint: 'Each build leaves one, unless TSBUILD_BUILD_RECORDS is off.',
    });
  }
  const id = name === undefined ? latest : idOf(ids, name);
  const record = readBuildRecord(root, id);
  if (record !== undefined) return record;
  throw new TsbuildError('BUILD_NOT_FOUND', `Cannot read the record of the build ${id}: it has gone, or is of another version of tsbuild`);
}

/** Logs that steps of the record left. */
export function logsOf(root: string, record: BuildRecord, steps: readonly RecordedStep[]): StepLog[] {
  const positions = stepPositions(record.stages);
  return steps.map((step) => {
    const position = positions.get(step.id) ?? 0;
    return { step, number: position + 1, chunks: () => readLog(logFile(root, record.id, position)) };
  });
}

async function* readLog(file: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of createReadStream(file, { flags: 'r' })) yield chunk as Buffer;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function chosenSteps(record: BuildRecord, wanted: number | string | undefined): RecordedStep[] {
  const steps = record.stages.flatMap((stage) => stage.steps);
  if (wanted === undefined) return steps.filter(({ logBytes }) => logBytes > 0);
  const position = /^\d{1,9}$/.test(String(wanted)) ? Number(wanted) - 1 : steps.findIndex(({ id }) => id === wanted);
  const step = steps[position];
  if (step !== undefined) return [step];
  const range = steps.length === 0 ? 'it was never planned' : `it has the steps 1 to ${steps.length}`;
  const near = suggest(
    String(wanted),
    steps.map(({ id }) => id),
  );
  throw new TsbuildError('BUILD_NOT_FOUND', `Cannot find the step ${JSON.stringify(wanted)} of the build ${record.id}: ${range}`, {
    hint: near === undefined ? '`tsbuild builds inspect` lists them.' : `Did you mean ${near}?`,
  });
}

function idOf(ids: readonly string[], name: string): string {
  const found = findRecord(ids, name);
  if (found.kind === 'found') return found.id;
  const shown = JSON.stringify(name.slice(0, 100));
  if (found.kind === 'several') {
    const list = andMore(found.ids.slice(0, LISTED_MAX), found.ids.length);
    throw new TsbuildError('BUILD_NOT_FOUND', `Cannot tell which build ${shown} is: ${list} begin like that`, {
      hint: `The six characters after the last - are enough, such as ${randomPart(found.ids[0] ?? '')}.`,
    });
  }
  const near = suggest(name, ids) ?? ids.find((id) => randomPart(id) === suggest(name, ids.map(randomPart)));
  throw new TsbuildError('BUILD_NOT_FOUND', `Cannot find the build ${shown}: there is no record of it`, {
    hint: near === undefined ? '`tsbuild builds ls` lists them.' : `Did you mean ${near}?`,
  });
}

function checkEnded(root: string, id: string): void {
  if (lifeOf(join(recordsIn(root), id)) !== 'running') return;
  throw new TsbuildError('BUILD_RUNNING', `Cannot remove the record of the build ${id}: it runs`, {
    hint: 'Wait for its end, or interrupt it.',
  });
}
