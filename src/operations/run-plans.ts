/** Runs plans until what they stand on is good: a layer of a remote cache that turns out to be none makes the build start over, without that cache. */
import { executePlans } from '../builder/execute/execute-plan.ts';
import { type LayerSource, snapshotOf } from '../builder/execute/files.ts';
import { formOf, packingOf } from '../builder/execute/pack-snapshot.ts';
import { checkLayer, UnusableLayer } from '../builder/execute/packed-layer.ts';
import type { BuildResources } from '../builder/execute/resources.ts';
import type { StageState } from '../builder/execute/stage-state.ts';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import { layerRecordKey } from '../cache/layer-record-key.ts';
import { forEachLimited } from '../images/for-each-limited.ts';
import type { ImageFormat } from '../images/image-format.ts';
import { UnsoundSnapshot } from '../snapshots/unsound-snapshot.ts';
import { tellOnce } from './tell-once.ts';

/** What outputs will read: layers in these forms; files of the result; files of all stages. */
export interface ResultNeeds {
  readonly formats: readonly ImageFormat[];
  readonly files: 'none' | 'result' | 'stages';
}

const PARALLEL_LAYERS = 4;

/** The states of all stages of each plan; all that `needs` name of the result is here, and was checked. */
export async function runPlans(plans: readonly BuildPlan[], given: BuildResources, needs: ResultNeeds): Promise<StageState[][]> {
  const resources: BuildResources = { ...given, emit: tellOnce(given.emit) };
  const seen = new Set<UnsoundSnapshot>();
  for (;;) {
    try {
      const stages = await executePlans(plans, resources);
      await settle(plans, stages, { resources, needs });
      return stages;
    } catch (error) {
      if (error instanceof UnsoundSnapshot && !seen.has(error)) {
        seen.add(error);
        resources.used?.clear();
        resources.emit({ kind: 'warning', message: `${error.finding}: they are made again` });
        continue;
      }
      // Each try excludes one more; the same twice would be a mistake of ours.
      if (!(error instanceof UnusableLayer) || resources.unusable.has(error.packed.name)) throw error;
      excludeLayer(resources, error);
    }
  }
}

function excludeLayer({ emit, imports, unusable, used }: BuildResources, error: UnusableLayer): void {
  unusable.add(error.packed.name);
  used?.clear();
  const { layer } = error.packed;
  const from = layer && imports?.distrust(layer.descriptor);
  if (from !== undefined) emit({ kind: 'warning', message: `Going on without the cache ${from}: ${error.message}` });
}

interface Settling {
  readonly resources: BuildResources;
  readonly needs: ResultNeeds;
}

async function settle(plans: readonly BuildPlan[], stages: readonly StageState[][], { resources, needs }: Settling): Promise<void> {
  const { signal } = resources;
  for (const [position, plan] of plans.entries()) {
    const all = stages[position] ?? [];
    const target = all[plan.target];
    if (target === undefined) throw new Error('The target of a plan has run');
    if (needs.formats.length > 0)
      await forEachLimited(target.layers, { limit: PARALLEL_LAYERS, signal }, (layer) => settleLayer(layer, { resources, needs }));
    for (const { files } of needs.files === 'stages' ? all : needs.files === 'result' ? [target] : []) await snapshotOf(resources, files);
  }
}

/** A layer that is wanted as it came need not be unpacked. */
async function settleLayer(layer: LayerSource, { resources, needs }: Settling): Promise<void> {
  if (layer.kind === 'blob') return;
  const { packed } = layer;
  if (packed === undefined || resources.snapshots.isWhole(layer.name)) {
    if (!needs.formats.every((format) => isPacked(resources, layer, format))) await resources.snapshots.check(layer.name);
    return;
  }
  const isAsItCame = needs.formats.every((format) => formOf(packingOf(format)) === packed.layer?.form);
  if (isAsItCame) await checkLayer(resources, packed);
  else await snapshotOf(resources, packed);
}

/** Files that are still to be read are looked at here, where they can still be made again. */
function isPacked({ cache, store }: BuildResources, { name }: { readonly name: string }, format: ImageFormat): boolean {
  const record = cache.layers.get(layerRecordKey(name, formOf(packingOf(format))));
  return record !== undefined && store.content.has(record.descriptor.digest);
}
