/** What the steps of all stages of one build share. */
import type { BuildPlan, Stage, StepSource } from '../plan/build-plan.ts';
import type { StepsInFlight } from './cached-step.ts';
import type { BuildResources } from './resources.ts';
import type { StageState } from './stage-state.ts';

export interface StageRun {
  readonly plan: BuildPlan;
  readonly resources: BuildResources;
  readonly inFlight: StepsInFlight;
  /** By step id, of `plan`. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Those whose layers the target has: itself and what it stands on. */
  readonly targetStages: ReadonlySet<Stage>;
  /** By step id: those after which the target only waits for its layers. */
  readonly lastFiles: ReadonlySet<string>;
  /** The finished state of a stage, or of an image taken as one; runs it where it has not. */
  finished(source: StepSource): Promise<StageState>;
}

/** Time of what the builder itself makes (WORKDIR, parents of a COPY): fixed, so that layers do not depend on the clock. */
export const CREATED_NS = 0n;
