/** The stages of a Dockerfile as written: needed or not, nothing resolved. */
import type { ArgInstruction, Dockerfile, FromInstruction } from '../../parser/instruction.ts';
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

/** The last stage of that name; case is ignored. */
export function findStage(stages: readonly SourceStage[], name: string): SourceStage | undefined {
  const lower = name.toLowerCase();
  return stages.findLast(({ from }) => from.as === lower);
}
