/** What else an SBOM is to look at: stages and the build context, as ARGs say. Source: BuildKit's "SBOMs", "Dockerfile configuration". */
import { goBoolean } from '../../go-boolean.ts';
import { expandWord } from '../../parser/expand.ts';
import type { ArgDeclaration } from '../../parser/instruction.ts';
import { resolveArg } from './build-args.ts';
import type { BuildPlan, Stage } from './build-plan.ts';

export interface ScanTargets {
  /** Indexes in `BuildPlan.stages`, the target's not among them. */
  readonly stages: readonly number[];
  readonly context: boolean;
}

/** An ARG in a stage, or before the first FROM, switches it on; `--build-arg` changes its value, and alone does nothing. */
export function scanTargets(plan: BuildPlan): ScanTargets {
  const target = plan.stages[plan.target];
  return {
    stages: plan.stages
      .filter((stage) => stage.index !== plan.target && isOn(plan, stage, 'BUILDKIT_SBOM_SCAN_STAGE'))
      .map(({ index }) => index),
    context: target !== undefined && isOn(plan, target, 'BUILDKIT_SBOM_SCAN_CONTEXT'),
  };
}

function isOn(plan: BuildPlan, stage: Stage, name: string): boolean {
  const value = valueIn(plan, stage, name) ?? '';
  return goBoolean(value) ?? value.split(',').some((each) => each.trim().toLowerCase() === stage.name.toLowerCase());
}

function valueIn({ args, dockerfile }: BuildPlan, { steps }: Stage, name: string): string | undefined {
  const own = steps
    .flatMap(({ instruction }) => (instruction.kind === 'arg' ? instruction.declarations : []))
    .findLast(({ key }) => key === name);
  const global = globalDeclaration(dockerfile.instructions, name);
  if (own === undefined) return global === undefined ? undefined : args.globalArgs.get(name);
  return resolveArg(own, args, (word) => expandWord(word, (variable) => args.globalArgs.get(variable), { escape: dockerfile.escape }));
}

function globalDeclaration(instructions: BuildPlan['dockerfile']['instructions'], name: string): ArgDeclaration | undefined {
  const first = instructions.findIndex(({ kind }) => kind === 'from');
  return instructions
    .slice(0, first)
    .flatMap((instruction) => (instruction.kind === 'arg' ? instruction.declarations : []))
    .findLast(({ key }) => key === name);
}
