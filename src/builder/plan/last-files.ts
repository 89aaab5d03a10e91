/** Steps after which the target only waits for its layers. */
import type { BuildPlan } from './build-plan.ts';
import { sourcesOf } from './remaining-steps.ts';
import { targetStages } from './target-stages.ts';

/** Ids of the steps whose layers the target has and that no RUN waits for, be it in another stage. */
export function lastFiles(plan: Pick<BuildPlan, 'stages' | 'target'>): ReadonlySet<string> {
  const found = new Set<string>();
  const targets = targetStages(plan);
  /** Stages whose files a RUN waits for. */
  const awaited = new Set<number>();
  // Stages stand on earlier ones only: so all that stands on a stage is known before it.
  for (const stage of plan.stages.toReversed()) {
    let isAwaited = awaited.has(stage.index);
    for (const step of stage.steps.toReversed()) {
      if (!isAwaited && targets.has(stage)) found.add(step.label.id);
      isAwaited ||= step.instruction.kind === 'run';
      if (isAwaited) for (const source of sourcesOf(stage, step)) awaited.add(source);
    }
  }
  return found;
}
