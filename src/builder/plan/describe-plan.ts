/** A build plan as provenance tells it: steps with what they stand on, ids of secrets, whether a command has a network. Never a value of a secret. */

import type { MountedSecret, StepFacts } from '../../attestations/build-facts.ts';
import { imagePurl } from '../../attestations/package-url.ts';
import { goBoolean } from '../../go-boolean.ts';
import { formatPlatform } from '../../oci/platform.ts';
import type { RunInstruction } from '../../parser/instruction.ts';
import { splitMountFields } from '../../parser/mount-fields.ts';
import type { BuildPlan, Stage, StageBase, Step, StepSource } from './build-plan.ts';

export interface PlanDescription {
  readonly steps: readonly StepFacts[];
  /** `StepLabel.id` → `StepFacts.id`. */
  readonly ids: ReadonlyMap<string, string>;
  /** The step whose files are the lowest layers of the result: a FROM. */
  readonly baseStep: string;
  readonly secrets: readonly MountedSecret[];
  readonly ssh: readonly MountedSecret[];
  readonly isOffline: boolean;
}

/** `network`: of commands that do not say. */
export function describePlan(plan: BuildPlan, network: string): PlanDescription {
  const steps = plan.stages.flatMap((stage) => stage.steps.map((step) => ({ stage, step })));
  const ids = new Map(steps.map(({ step }, number) => [step.label.id, `step${number}`]));
  const lastOf = (index: number): string => idOf(ids, plan.stages[index]?.steps.at(-1));
  const runs = steps.flatMap(({ step }) => (step.instruction.kind === 'run' ? [step.instruction] : []));
  return {
    steps: steps.map(({ stage, step }) => factsOf(stage, step, { id: idOf(ids, step), inputs: inputsOf(stage, step, { ids, lastOf }) })),
    ids,
    baseStep: idOf(ids, rootStage(plan).steps[0]),
    secrets: mountsOf(runs, 'secret'),
    ssh: mountsOf(runs, 'ssh'),
    isOffline: runs.every((run) => (run.network ?? network) === 'none'),
  };
}

function factsOf(stage: Stage, { instruction }: Step, { id, inputs }: Pick<StepFacts, 'id' | 'inputs'>): StepFacts {
  const { range, ...words } = instruction;
  const lines = { start: range.startLine, end: range.endLine };
  return { id, stage: stage.name, platform: formatPlatform(stage.platform), instruction: words, inputs, lines };
}

interface Places {
  readonly ids: ReadonlyMap<string, string>;
  readonly lastOf: (stage: number) => string;
}

function inputsOf(stage: Stage, step: Step, places: Places): string[] {
  const at = stage.steps.indexOf(step);
  const below = at === 0 ? sourceId(stage.base, places) : [idOf(places.ids, stage.steps[at - 1])];
  const others = [step.from, ...(step.mountSources ?? [])].flatMap((source) => (source === undefined ? [] : sourceId(source, places)));
  return [...new Set([...below, ...others])];
}

function sourceId(source: StageBase | StepSource, { lastOf }: Places): string[] {
  switch (source.kind) {
    case 'scratch':
      return [];
    case 'stage':
      return [lastOf(source.index)];
    case 'image':
      return [source.reference.startsWith('oci-layout://') ? 'oci-layout' : imagePurl(source.reference, source.platform)];
    case 'context':
      return [`context:${source.name}`];
  }
}

/** Of the target, down to the one that stands on no stage. */
function rootStage(plan: BuildPlan): Stage {
  let stage = plan.stages[plan.target];
  while (stage?.base.kind === 'stage') stage = plan.stages[stage.base.index];
  if (stage === undefined) throw new Error('A plan has a target');
  return stage;
}

function idOf(ids: ReadonlyMap<string, string>, step: Step | undefined): string {
  const id = step && ids.get(step.label.id);
  if (id === undefined) throw new Error('A stage has a FROM, and each step a number');
  return id;
}

/** As they are written: a variable in an id stays a variable. */
function mountsOf(runs: readonly RunInstruction[], type: 'secret' | 'ssh'): MountedSecret[] {
  const found = new Map<string, MountedSecret>();
  for (const word of runs.flatMap(({ mounts }) => mounts)) {
    const fields = new Map(splitMountFields(word).map(([key, value]) => [key.toLowerCase(), value]));
    if (fields.get('type') !== type) continue;
    const target = fields.get('target') ?? fields.get('dst') ?? fields.get('destination');
    const id = fields.get('id') || fields.get('source') || fields.get('src') || target?.split('/').at(-1) || 'default';
    const required = fields.has('required') && goBoolean(fields.get('required') ?? '') !== false;
    const before = found.get(id);
    found.set(id, { id, isOptional: !required && (before?.isOptional ?? true) });
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
