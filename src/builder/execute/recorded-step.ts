/** A step that was made before: in this state directory, or in one whose cache the build was told to use. */
import { createHash } from 'node:crypto';
import type { StepRecord } from '../../cache/build-cache.ts';
import { type CacheKey, resultName } from '../../cache/cache-key.ts';
import { layerRecordKey } from '../../cache/layer-record-key.ts';
import type { StepResult } from './cached-step.ts';
import { type Files, filesName } from './files.ts';
import { formOf, type Packing } from './pack-snapshot.ts';
import type { BuildResources } from './resources.ts';

export interface WantedStep {
  readonly key: CacheKey;
  readonly parent: CacheKey;
  /** What its layer lies on, by the directories of the record where it is a layer by itself. */
  below(ground: readonly string[] | undefined): Files;
}

/** What the caches have, where they may be used. What is not here but was made elsewhere counts: when its files are needed, it is seen whether they can be had. */
export function recordedStep(resources: BuildResources, step: WantedStep): StepResult | undefined {
  const { cache, options } = resources;
  if (options.cache !== 'use') return undefined;
  const record = cache.steps.get(step.key);
  return (record && recorded(resources, step, record)) ?? imported(resources, step);
}

function recorded(resources: BuildResources, step: WantedStep, record: StepRecord): StepResult | undefined {
  const { snapshots, unusable } = resources;
  const { snapshot, made, layer, ground } = record;
  const known: StepResult = {
    snapshot,
    result: made === undefined ? snapshot : resultName(made),
    outcome: 'cached',
    ...(made && { made }),
  };
  if (snapshots.isWhole(snapshot)) return known;
  if (unusable.has(snapshot)) return undefined;
  if (record.elsewhere !== true) return packedHere(resources, step, known);
  const below = step.below(ground);
  // The files below may have come from elsewhere since.
  if (importedName(below, layer?.diffId ?? known.result) !== snapshot) return undefined;
  return { ...known, packed: { kind: 'packed', made: 'elsewhere', name: snapshot, layer, below } };
}

/** Its files are gone, with the boot of the machine or by a disk that changed them; but a layer was packed of them, and is still there. */
function packedHere(resources: BuildResources, step: WantedStep, known: StepResult): StepResult | undefined {
  const { cache, options, store } = resources;
  const name = known.snapshot;
  for (const form of new Set(['', ...options.packings.filter(isFaithful).map(formOf)])) {
    const { diffId, descriptor, createdAt } = cache.layers.get(layerRecordKey(name, form)) ?? {};
    if (diffId === undefined || descriptor === undefined || createdAt === undefined) continue;
    if (store.content.size(descriptor.digest) !== descriptor.size) continue;
    const below = step.below(cache.steps.get(step.key)?.ground);
    return { ...known, packed: { kind: 'packed', made: 'here', name, layer: { descriptor, diffId, form, createdAt }, below } };
  }
  return undefined;
}

/** Whether what is unpacked again is what was packed: with its times, and without an index. */
function isFaithful({ compression, clampTimeSeconds }: Packing): boolean {
  return compression.type !== 'estargz' && clampTimeSeconds === undefined;
}

/** Recorded as if it had been made here: the next build needs no remote cache. */
function imported({ cache, imports, unusable }: BuildResources, step: WantedStep): StepResult | undefined {
  const found = imports?.find(step.key, step.parent);
  if (found === undefined) return undefined;
  const { made, layer, ground } = found.step;
  const result = resultName(made);
  const below = step.below(ground);
  const name = importedName(below, layer?.diffId ?? result);
  if (unusable.has(name)) return undefined;
  cache.steps.set(step.key, { snapshot: name, made, elsewhere: true, layer, ground });
  return {
    snapshot: name,
    result,
    outcome: 'cached',
    made,
    packed: { kind: 'packed', made: 'elsewhere', name, layer, below },
    from: found.from,
  };
}

/** By what is in it: so a foreign record can never name, or make, a snapshot that others use. `own`: a diffID, or the result whose layer is not there. */
function importedName(below: Files, own: string): string {
  return createHash('sha256')
    .update(`tsbuild-imported-1\0${filesName(below)}\0${own}`)
    .digest('hex');
}
