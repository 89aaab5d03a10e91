import type { BuildPlan, Stage } from './build-plan.ts';

/** The stages whose layers are the target's: the target, and the one after the other that it stands on. */
export function targetStages({ stages, target }: Pick<BuildPlan, 'stages' | 'target'>): ReadonlySet<Stage> {
  const found = new Set<Stage>();
  for (let stage = stages[target]; stage !== undefined; stage = stage.base.kind === 'stage' ? stages[stage.base.index] : undefined)
    found.add(stage);
  return found;
}
