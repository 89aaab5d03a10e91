/** The stages of a Dockerfile as written: needed or not, nothing resolved. */
import { TsbuildError } from '../../errors.ts';
import type { ArgInstruction, Dockerfile, FromInstruction } from '../../parser/instruction.ts';
import { didYouMean } from '../../parser/suggest.ts';
import type { StageInstruction } from './build-plan.ts';

export interface SourceStage {
  /** 0-based, in the Dockerfile's order. */
  readonly number: number;
  /** For display. */
  readonly name: string;
  /** The name, made unique: stages may share one. */
  readonly id: string;
  readonly from: FromInstruction;
  readonly instructions: StageInstruction[];
}

/** ARGs before the first FROM, and the stages. */
export function splitStages(dockerfile: Dockerfile): { globals: ArgInstruction[]; stages: SourceStage[] } {
  const globals: ArgInstruction[] = [];
  const stages: SourceStage[] = [];
  const ids = new Set<string>();
  for (const instruction of dockerfile.instructions) {
    if (instruction.kind === 'from') {
      const number = stages.length;
      const name = instruction.as ?? `stage-${number}`;
      const id = ids.has(name) ? `${name}#${number}` : name;
      ids.add(id);
      stages.push({ number, name, id, from: instruction, instructions: [] });
      continue;
    }
    const stage = stages.at(-1);
    if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'arg') globals.push(instruction);
    else throw new Error(`A parsed Dockerfile has no ${instruction.kind} before FROM`);
  }
  return { globals, stages };
}

/** The stage that is built: the last one where `target` names none. Throws STAGE_NOT_FOUND. */
export function chooseTarget<S extends Pick<SourceStage, 'from'>>(stages: readonly S[], target: string | undefined): S {
  const last = stages.at(-1);
  if (last === undefined) throw new Error('A parsed Dockerfile has a stage');
  if (target === undefined || target === '') return last;
  const found = findStage(stages, target);
  if (found !== undefined) return found;
  const names = stages.flatMap(({ from }) => from.as ?? []);
  const known = names.length === 0 ? 'no stage has a name' : `stages: ${names.slice(0, 20).join(', ')}`;
  throw new TsbuildError(
    'STAGE_NOT_FOUND',
    `Cannot find stage ${JSON.stringify(target.slice(0, 200))} in --target (${known})${didYouMean(target, names)}`,
  );
}

/** The last stage of that name; case is ignored. */
export function findStage<S extends Pick<SourceStage, 'from'>>(stages: readonly S[], name: string): S | undefined {
  const lower = name.toLowerCase();
  return stages.findLast(({ from }) => from.as === lower);
}

/** The last stage of that name (lower case) whose number is below `before`. Each name costs a search, however many stages there are. */
export function stageBefore(stages: readonly SourceStage[], name: string, before: number): SourceStage | undefined {
  const same = stagesByName(stages).get(name) ?? [];
  let [low, high] = [0, same.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((same[middle]?.number ?? 0) < before) low = middle + 1;
    else high = middle;
  }
  return same[low - 1];
}

const indexes = new WeakMap<readonly SourceStage[], ReadonlyMap<string, SourceStage[]>>();

function stagesByName(stages: readonly SourceStage[]): ReadonlyMap<string, SourceStage[]> {
  const known = indexes.get(stages);
  if (known !== undefined) return known;
  const byName = new Map<string, SourceStage[]>();
  for (const stage of stages) {
    if (stage.from.as === undefined) continue;
    const same = byName.get(stage.from.as);
    if (same === undefined) byName.set(stage.from.as, [stage]);
    else same.push(stage);
  }
  indexes.set(stages, byName);
  return byName;
}
