/** One step that makes files: its snapshot out of the cache, or made now; the same step of two stages is made once. */
import { randomBytes } from 'node:crypto';
import { hideCredentials } from '../../attestations/hide-credentials.ts';
import { type CacheKey, type Making, resultName } from '../../cache/cache-key.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import type { SnapshotPurpose } from '../../snapshots/snapshot-info.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import type { EarlyLayer } from './early-layer.ts';
import { type Files, type LayerSource, locatedSnapshot, type PackedFiles } from './files.ts';
import { recordedStep } from './recorded-step.ts';
import type { BuildResources } from './resources.ts';
import type { StageRun } from './stage-run.ts';
import { rememberStep, type Telling, tellMiss } from './tell-miss.ts';

export interface StepResult {
  readonly snapshot: string;
  /** What keys of later steps hold: the snapshot's name, or the one that it has where it was made. */
  readonly result: string;
  readonly outcome: 'done' | 'cached';
  /** The making that it is the result of; absent where an older version made it. */
  readonly made?: Making;
  /** `ground`: the snapshot is a layer by itself, still to be laid over the stage's files. By default it stands on them. */
  readonly base?: 'ground';
  /** Where the snapshot may not be there yet: what it is made of. */
  readonly packed?: PackedFiles;
  /** The remote cache that had it. */
  readonly from?: string;
}

/** Steps being made in this process, by their key. */
export type StepsInFlight = Map<CacheKey, Promise<StepResult>>;

export interface CachedStep {
  readonly key: CacheKey;
  /** By what its sources hold, where `key` says how those were made: a step before it that ran again may have made the same. Reads them. */
  contentKey?(): Promise<CacheKey | undefined>;
  /** Identity of `files`, which the key holds. */
  readonly parent: CacheKey;
  /** The files the step starts from. */
  readonly files: Files;
  /** For telling why it missed; undefined for what no instruction of its own stands for. */
  readonly telling: Telling | undefined;
  /** Changes the active snapshot; what it leaves there is the step's result, whose snapshot will have the name. May have packed its layer. */
  make(active: ActiveSnapshot, name: string): Promise<EarlyLayer | undefined>;
}

export function filesOf({ packed, snapshot }: StepResult): Files {
  return packed ?? { kind: 'snapshot', name: snapshot };
}

export function layerOf({ packed, snapshot }: StepResult): LayerSource {
  return { kind: 'snapshot', name: snapshot, ...(packed === undefined ? {} : { packed }) };
}

/** Runs `step.make` in a new snapshot unless the cache has the result. Nothing of a failed step stays. */
export async function cachedStep(run: StageRun, step: CachedStep): Promise<StepResult> {
  const running = run.inFlight.get(step.key);
  if (running !== undefined) return { ...(await running), outcome: 'cached' };
  const promise = findOrMake(run, step);
  run.inFlight.set(step.key, promise);
  const result = await promise;
  run.resources.used?.add(step, result);
  return result;
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
  return (await found(resources, step)) ?? (await foundByContent(resources, step)) ?? (await makeInTurn(run, step));
}

/** With a record under its own key from now on, so that nothing is read the next time. */
async function foundByContent(resources: BuildResources, step: CachedStep): Promise<StepResult | undefined> {
  const contentKey = await step.contentKey?.();
  const known = contentKey && recordedStep(resources, { ...step, key: contentKey, below: () => step.files });
  if (known === undefined) return undefined;
  const { made, packed, snapshot } = known;
  resources.cache.steps.set(step.key, { snapshot, made, layer: packed?.layer, ...(packed?.made === 'elsewhere' && { elsewhere: true }) });
  await rememberStep(resources, step, 'made');
  return known;
}

async function found(resources: BuildResources, step: CachedStep): Promise<StepResult | undefined> {
  const known = recordedStep(resources, { ...step, below: () => step.files });
  if (known !== undefined) await rememberStep(resources, step, 'found');
  return known;
}

/** What no instruction stands for is waited for by one that has its turn by now. */
async function makeInTurn({ resources, remaining }: StageRun, step: CachedStep): Promise<StepResult> {
  await tellMiss(resources, step);
  const count = step.telling === undefined ? Number.POSITIVE_INFINITY : (remaining.get(step.telling.label.id) ?? 0);
  return await resources.options.jobs.run(count, () => make(resources, step));
}

const TEXT_CHARACTERS_MAX = 300;

/** For those who ask what takes the space. */
export function stepPurpose(text: string): SnapshotPurpose {
  return { kind: 'step', text: hideCredentials(text).slice(0, TEXT_CHARACTERS_MAX) };
}

async function make(resources: BuildResources, step: CachedStep): Promise<StepResult> {
  const { cache, signal, snapshots } = resources;
  signal.throwIfAborted();
  needPrivilege();
  const made = { key: step.key, nonce: randomBytes(32).toString('hex') };
  const name = resultName(made);
  const active = snapshots.prepare(await locatedSnapshot(resources, step.files));
  await using layer = await makeIn(resources, active, () => step.make(active, name));
  const contentKey = await step.contentKey?.();
  // A record that leads to nothing is a miss; a snapshot that nothing leads to would lie there for good.
  if (contentKey !== undefined) cache.steps.set(contentKey, { snapshot: name, made });
  cache.steps.set(step.key, { snapshot: name, made });
  snapshots.commit(active, name, { purpose: stepPurpose(step.telling?.label.text ?? 'COPY') });
  layer?.keep();
  await rememberStep(resources, step, 'made');
  return { snapshot: name, result: name, outcome: 'done', made };
}

async function makeIn(
  { signal, snapshots }: BuildResources,
  active: ActiveSnapshot,
  makeFiles: () => Promise<EarlyLayer | undefined>,
): Promise<EarlyLayer | undefined> {
  let layer: EarlyLayer | undefined;
  try {
    try {
      layer = await makeFiles();
    } finally {
      // Also where it failed: of files that the disk has changed, that is no wonder.
      await snapshots.checkBelow(active);
    }
    signal.throwIfAborted();
    return layer;
  } catch (error) {
    await layer?.[Symbol.asyncDispose]();
    snapshots.discard(active);
    throw error;
  }
}
