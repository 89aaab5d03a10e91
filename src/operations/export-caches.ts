/** What the steps of a finished build left → the remote caches that the caller named. */
import type { ResultOptions } from '../builder/execute/assemble-result.ts';
import { formOf, type Packing, packSnapshot } from '../builder/execute/pack-snapshot.ts';
import type { UsedStep } from '../builder/execute/used-steps.ts';
import type { PortableLayer, PortableStep } from '../cache/portable-step.ts';
import { TsbuildError } from '../errors.ts';
import { compressionOf } from '../layers/compress.ts';
import { type Descriptor, plainDescriptor } from '../oci/descriptor.ts';
import { type CacheTarget, shownPlace } from '../remote-cache/cache-place.ts';
import { type CacheRecords, INLINE_FIELD, inlineField } from '../remote-cache/cache-records.ts';
import type { Session } from '../session.ts';
import type { BuildOptions } from './build.ts';
import { exportMounts } from './export-mounts.ts';
import { type FinishedBuild, targetStates } from './finished-build.ts';

type PlaceTarget = Exclude<CacheTarget, { type: 'inline' }>;

/** One after the other, when the outputs are there: a cache that cannot be written costs no image. */
export async function exportCaches(session: Session, build: FinishedBuild, { cacheTo = [] }: Pick<BuildOptions, 'cacheTo'>): Promise<void> {
  for (const target of cacheTo) {
    if (target.type === 'inline') continue;
    session.signal.throwIfAborted();
    try {
      await exportOne(session, build, target);
    } catch (error) {
      if (target.ignoreError !== true || session.signal.aborted || !(error instanceof TsbuildError)) throw error;
      session.emit({ kind: 'warning', message: `Left the cache ${shownPlace(target)} as it was: ${error.message}` });
    }
  }
}

async function exportOne(session: Session, build: FinishedBuild, target: PlaceTarget): Promise<void> {
  const { exportCache } = await import('../remote-cache/export-cache.ts');
  const steps = await portableSteps(build, target);
  const mounts = target.mounts === true ? await exportMounts(build.resources, packingFor(target)) : [];
  await exportCache(session, target, { records: { steps, mounts }, open: (blob) => openLayer(build, blob) });
}

async function portableSteps(build: FinishedBuild, target: PlaceTarget): Promise<PortableStep[]> {
  const { resources } = build;
  const wanted = target.mode === 'max' ? () => true : inResult(build);
  const packing = packingFor(target);
  const steps: PortableStep[] = [];
  for (const used of resources.used?.list() ?? []) {
    const { result } = used;
    // What older versions made has no name that others can check.
    if (result.made === undefined) continue;
    const layer = wanted(used) ? await portableLayer(build, used, { packing, anyForm: target.forceCompression !== true }) : undefined;
    steps.push(portableStep(used, result.made, layer));
  }
  return steps;
}

/** Steps whose layers are in the result. */
function inResult(build: FinishedBuild): (used: UsedStep) => boolean {
  const names = new Set(
    targetStates(build).flatMap(({ layers }) => layers.flatMap((layer) => (layer.kind === 'snapshot' ? layer.name : []))),
  );
  return ({ result }) => names.has(result.snapshot);
}

function packingFor({ compression = 'gzip', compressionLevel }: PlaceTarget): Packing {
  return { compression: compressionOf(compression, compressionLevel), clampTimeSeconds: undefined };
}

/** A layer that came from a remote cache and was not needed goes on as it is. */
async function portableLayer(
  { resources }: FinishedBuild,
  { result: { packed, snapshot } }: UsedStep,
  { packing, anyForm }: { readonly packing: Packing; readonly anyForm: boolean },
): Promise<PortableLayer | undefined> {
  const found = resources.snapshots.get(snapshot);
  const form = formOf(packing);
  if (packed !== undefined && found === undefined && (anyForm || packed.layer === undefined || packed.layer.form === form))
    return packed.layer;
  const { descriptor, diffId } = await packSnapshot(resources, { name: snapshot, ...(packed && { packed }) }, packing);
  const createdAt = resources.snapshots.get(snapshot)?.createdAt ?? packed?.layer?.createdAt ?? '';
  return { descriptor: plainDescriptor(descriptor), diffId, form, createdAt };
}

/** Of what is told for its key alone, there is no layer. */
function portableStep({ key, parent, ground }: UsedStep, made: PortableStep['made'], layer: PortableLayer | undefined): PortableStep {
  const alias = made.key !== key && ground === undefined;
  return {
    key,
    parent,
    made,
    ...(alias ? { alias } : {}),
    ...(layer === undefined ? {} : { layer }),
    ...(ground === undefined ? {} : { ground }),
  };
}

/** `--cache-to type=inline`: what is written into the config of each image. undefined where nobody asked for it. */
export function inlineCache({ resources }: FinishedBuild, { cacheTo = [] }: Pick<BuildOptions, 'cacheTo'>): ResultOptions['inline'] {
  if (!cacheTo.some(({ type }) => type === 'inline')) return undefined;
  return (layers) => ({ [INLINE_FIELD]: inlineField(inlineRecords(resources.used?.list() ?? [], layers)) });
}

/** Of the steps whose layers the image has not, their keys. */
function inlineRecords(used: readonly UsedStep[], layers: ReadonlyMap<string, PortableLayer>): CacheRecords {
  const steps = used.flatMap((step) => {
    const { made, snapshot } = step.result;
    return made === undefined ? [] : [portableStep(step, made, layers.get(snapshot))];
  });
  return { steps, mounts: [] };
}

/** undefined where the cache that has it does not give it: then the new one is without it. */
async function openLayer({ resources }: FinishedBuild, blob: Descriptor): Promise<AsyncIterable<Buffer> | undefined> {
  const { imports, signal, store } = resources;
  if (store.content.size(blob.digest) !== blob.size) {
    try {
      await imports?.fetch(blob, signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof TsbuildError) || error.code === 'ERR_TSBUILD_NO_SPACE') throw error;
      return undefined;
    }
  }
  return store.content.size(blob.digest) === blob.size ? store.content.stream(blob.digest) : undefined;
}
