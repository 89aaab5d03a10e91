/** Which stages `--no-cache-filter` means. Source: buildx "--no-cache-filter"; BuildKit compares names without regard to case. */
import type { Dockerfile } from '../../parser/instruction.ts';
import { didYouMean } from '../../parser/suggest.ts';
import type { BuildPlan, Stage } from './build-plan.ts';

/** By `AS` name, or by 0-based number in the Dockerfile as `COPY --from` has it (ours). */
export function uncachedStages({ dockerfile, stages }: Pick<BuildPlan, 'dockerfile' | 'stages'>, wanted: readonly string[]): Set<Stage> {
  if (wanted.length === 0) return new Set();
  const names = new Set(wanted.map((name) => name.toLowerCase()));
  const numbers = new Map(fromsOf(dockerfile).map((from, number) => [from, String(number)]));
  return new Set(
    stages.filter(({ steps: [first] }) => {
      const from = first?.instruction;
      return from?.kind === 'from' && ((from.as !== undefined && names.has(from.as)) || names.has(numbers.get(from) ?? ''));
    }),
  );
}

/** What Docker passes over without a word: each name that no stage has, with a guess. */
export function unknownStages(dockerfile: Dockerfile, wanted: readonly string[]): string[] {
  const froms = fromsOf(dockerfile);
  const known = froms.flatMap(({ as }, number) => [...(as === undefined ? [] : [as]), String(number)]);
  return wanted
    .filter((name) => !known.includes(name.toLowerCase()))
    .map((name) => `${JSON.stringify(name.slice(0, 200))}${didYouMean(name, known)}`);
}

function fromsOf({ instructions }: Dockerfile) {
  return instructions.flatMap((instruction) => (instruction.kind === 'from' ? instruction : []));
}
