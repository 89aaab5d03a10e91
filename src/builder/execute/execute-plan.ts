/** Runs a build plan: independent stages at the same time, each once, and only what the target needs. */
import { setMaxListeners } from 'node:events';
import { TsbuildError } from '../../errors.ts';
import { type BuildPlan, imageKey, type Stage, type StepSource } from '../plan/build-plan.ts';
import { lastFiles } from '../plan/last-files.ts';
import { remainingSteps } from '../plan/remaining-steps.ts';
import { targetStages } from '../plan/target-stages.ts';
import { uncachedStages } from '../plan/uncached-stages.ts';
import type { StepsInFlight } from './cached-step.ts';
import { contextState, executeStage, imageState } from './execute-stage.ts';
import type { BuildResources } from './resources.ts';
import type { StageRun } from './stage-run.ts';
import type { StageState } from './stage-state.ts';

/** Starts what has not been started under its key. */
type Once = (key: number | string, start: () => Promise<StageState>) => Promise<StageState>;

/**
 * The states of all stages of each plan, in their order, when they have run. What plans have in common runs once. The
 * first failure stops everything else and is the one thrown; `resources.signal` aborts.
 */
export async function executePlans(plans: readonly BuildPlan[], resources: BuildResources): Promise<StageState[][]> {
  const failure = new AbortController();
  const signal = AbortSignal.any([resources.signal, failure.signal]);
  // Every step that waits listens.
  setMaxListeners(0, signal);
  const inFlight: StepsInFlight = new Map();
  const start = (plan: BuildPlan): Promise<StageState[]> =>
    executePlan(
      {
        ...{ plan, resources: { ...resources, signal }, inFlight },
        ...{ remaining: remainingSteps(plan), targetStages: targetStages(plan), lastFiles: lastFiles(plan) },
      },
      failure,
    );
  const results = await allOf(plans, start, resources);
  if (resources.signal.aborted) throw interrupted(resources.signal.reason);
  if (failure.signal.aborted) throw failure.signal.reason;
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

async function executePlan(shared: Omit<StageRun, 'finished'>, failure: AbortController): Promise<StageState[]> {
  const { plan } = shared;
  const uncached = uncachedStages(plan, shared.resources.options.uncachedStages);
  const running = new Map<number | string, Promise<StageState>>();
  const once: Once = (key, start) => {
    const promise = running.get(key) ?? start();
    running.set(key, promise);
    return promise;
  };
  const run: StageRun = {
    ...shared,
    finished: (source: StepSource) => finishedSource(run, source, { once, uncached }),
  };
  const finish = async (stage: Stage): Promise<StageState> => {
    try {
      return await run.finished({ kind: 'stage', index: stage.index });
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  };
  const results = await allOf(plan.stages, finish, shared.resources);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** With one job one after the other, so that each build has the same order; else all at once. */
async function allOf<T, R>(items: readonly T[], start: (item: T) => Promise<R>, { options }: BuildResources) {
  if (options.jobs.most > 1) return await Promise.allSettled(items.map(start));
  const results: PromiseSettledResult<R>[] = [];
  for (const item of items) results.push(...(await Promise.allSettled([start(item)])));
  return results;
}

/** A context's files are copied for those who want them as a stage. */
function finishedSource(
  run: StageRun,
  source: StepSource,
  { once, uncached }: { readonly once: Once; readonly uncached: ReadonlySet<Stage> },
): Promise<StageState> {
  switch (source.kind) {
    case 'stage':
      return once(source.index, () => {
        const stage = stageAt(run.plan, source.index);
        return executeStage(uncached.has(stage) ? withoutCache(run) : run, stage);
      });
    case 'image':
      return once(`image ${imageKey(source)}`, () => imageState(run, source));
    case 'context':
      return once(`context ${source.name}`, () => contextState(run, source.name));
  }
}

function withoutCache(run: StageRun): StageRun {
  const { resources } = run;
  return { ...run, resources: { ...resources, options: { ...resources.options, cache: 'ignore' } } };
}

function stageAt(plan: BuildPlan, index: number): Stage {
  const stage = plan.stages[index];
  if (stage === undefined) throw new Error(`The plan has no stage ${index}`);
  return stage;
}

function interrupted(cause: unknown): TsbuildError {
  return cause instanceof TsbuildError ? cause : new TsbuildError('INTERRUPTED', 'Cannot finish the build: it was interrupted', { cause });
}
