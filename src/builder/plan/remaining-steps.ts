/** How much of a build stands on each step: what decides which of the waiting steps goes first. */
import type { BuildPlan, Stage, Step } from './build-plan.ts';

/**
 * By step id: the weight of the longest chain of steps that begins with it, itself included, through its stage and all that stands on
 * it or copies from it. An estimate out of the plan alone: a RUN weighs as much as ten of the others, whether it will be in the cache or not.
 */
export function remainingSteps({ stages }: Pick<BuildPlan, 'stages'>): ReadonlyMap<string, number> {
  const remaining = new Map<string, number>();
  /** What comes after the last step of each stage. */
  const tails = stages.map(() => 0);
  const isWaitedFor = (stage: number, count: number): void => {
    tails[stage] = Math.max(tails[stage] ?? 0, count);
  };
  // Stages stand on earlier ones only: so all that stands on a stage is known before it.
  for (const stage of stages.toReversed()) {
    let count = tails[stage.index] ?? 0;
    for (const step of stage.steps.toReversed()) {
      count += weightOf(step);
      remaining.set(step.label.id, count);
      for (const source of sourcesOf(stage, step)) isWaitedFor(source, count);
    }
  }
  return remaining;
}

/** Numbers of the stages that a step reads. */
export function sourcesOf({ base }: Stage, { from, mountSources = [], instruction }: Step): number[] {
  const places = instruction.kind === 'from' ? [base] : [from, ...mountSources];
  return places.flatMap((place) => (place?.kind === 'stage' ? place.index : []));
}

function weightOf({ instruction: { kind } }: Step): number {
  if (kind === 'run') return 10;
  return kind === 'copy' || kind === 'add' || kind === 'workdir' ? 1 : 0;
}
