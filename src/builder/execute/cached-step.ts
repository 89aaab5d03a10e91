/** One step that makes files: its snapshot out of the cache, or made now; the same step of two stages is made once. */
import { randomBytes } from 'node:crypto';
import type { CacheKey } from '../../cache/cache-key.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { type Files, snapshotOf } from './files.ts';
import type { BuildResources } from './resources.ts';
import type { StageRun } from './stage-run.ts';
import { rememberStep, type Telling, tellMiss } from './tell-miss.ts';

export interface StepResult {
  readonly snapshot: string;
  readonly outcome: 'done' | 'cached';
  /** `ground`: the snapshot is a layer by itself, still to be laid over the stage's files. By default it stands on them. */
  readonly base?: 'ground';
}

/** Steps being made in this process, by their key. */
export type StepsInFlight = Map<CacheKey, Promise<StepResult>>;

export interface CachedStep {
  readonly key: CacheKey;
  /** The files the step starts from. */
  readonly files: Files;
  /** For telling why it missed; undefined for what no instruction of its own stands for. */
  readonly telling: Telling | undefined;
  /** Changes the active snapshot; what it leaves there is the step's result. */
  make(active: ActiveSnapshot): Promise<void>;
}

/** Runs `step.make` in a new snapshot unless the cache has the result. Nothing of a failed step stays. */
export async function cachedStep(run: StageRun, step: CachedStep): Promise<StepResult> {
  const running = run.inFlight.get(step.key);
  if (running !== undefined) return { ...(await running), outcome: 'cached' };
  const promise = findOrMake(run, step);
  run.inFlight.set(step.key, promise);
  return await promise;
}

async function findOrMake(run: StageRun, step: CachedStep): Promise<StepResult> {
  const { resources } = run;
  const known = await found(resources, step);
  if (known !== undefined) return known;
  // Who wants no cache wants no other's result either.
  if (resources.options.cache === 'ignore') return await makeInTurn(run, step);
  using _lock = await resources.cache.locks().take(step.key, {
    signal: resources.signal,
    onWait: () => resources.warnOnce(`Another build makes the same step: waiting for ${step.telling?.label.text.slice(0, 200) ?? 'it'}`),
  });
  return (await found(resources, step)) ?? (await makeInTurn(run, step));
}

async function found(resources: BuildResources, step: CachedStep): Promise<StepResult | undefined> {
  const known = recordedStep(resources, step.key);
  if (known !== undefined) await rememberStep(resources, step, 'found');
  return known;
}

/** What no instruction stands for is waited for by one that has its turn by now. */
async function makeInTurn({ resources, remaining }: StageRun, step: CachedStep): Promise<StepResult> {
  await tellMiss(resources, step);
  const count = step.telling === undefined ? Number.POSITIVE_INFINITY : (remaining.get(step.telling.label.id) ?? 0);
  return await resources.options.jobs.run(count, () => make(resources, step));
}

/** What the cache has, where it may be used. */
export function recordedStep({ cache, options, snapshots }: BuildResources, key: CacheKey): StepResult | undefined {
  const record = options.cache === 'use' ? cache.steps.get(key) : undefined;
  if (record === undefined || snapshots.get(record.snapshot) === undefined) return undefined;
  return { snapshot: record.snapshot, outcome: 'cached' };
}

async function make(resources: BuildResources, step: CachedStep): Promise<StepResult> {
  const { cache, signal, snapshots } = resources;
  signal.throwIfAborted();
  needPrivilege();
  const active = snapshots.prepare(await snapshotOf(resources, step.files));
  try {
    await step.make(active);
    signal.throwIfAborted();
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
  const { name } = snapshots.commit(active, randomBytes(32).toString('hex'));
  cache.steps.set(step.key, { snapshot: name });
  await rememberStep(resources, step, 'made');
  return { snapshot: name, outcome: 'done' };
}
