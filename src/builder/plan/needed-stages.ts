/** Which stages a target needs, for those who look at a Dockerfile without planning a build. */
import type { LintStage, LintSubject } from '../../parser/lint/rule.ts';
import { mountSourceNames } from './mount-sources.ts';
import { chooseTarget, findStage } from './source-stages.ts';

/** The target and all that it stands on or copies from, in the Dockerfile's order. Throws STAGE_NOT_FOUND for the target. */
export function neededStages({ stages }: LintSubject, target: string | undefined): LintStage[] {
  const needed = new Set<LintStage>();
  const numbers = new Map(stages.map((stage, number) => [stage, number]));
  const open = [chooseTarget(stages, target)];
  for (let stage = open.pop(); stage !== undefined; stage = open.pop()) {
    if (needed.has(stage)) continue;
    needed.add(stage);
    if (stage.parent !== undefined) open.push(stage.parent);
    const earlier = stages.slice(0, numbers.get(stage));
    for (const name of sourceNames(stage)) {
      const source = findStage(earlier, name) ?? (/^\d+$/.test(name) ? earlier[Number(name)] : undefined);
      if (source !== undefined) open.push(source);
    }
  }
  return stages.filter((stage) => needed.has(stage));
}

/** What COPY --from and RUN --mount name; images are among them. */
function sourceNames({ steps }: LintStage): string[] {
  return steps.flatMap(({ instruction }) => {
    if (instruction.kind === 'copy') return instruction.from ?? [];
    return instruction.kind === 'run' ? mountSourceNames(instruction) : [];
  });
}
