/** What this version does not do yet: found while planning, so that no build fails half-way for it. */
import { TsbuildError } from '../../errors.ts';
import type { Dockerfile, RunInstruction } from '../../parser/instruction.ts';
import { locate, type SourcePart } from '../../parser/location.ts';
import type { StageInstruction } from './build-plan.ts';

interface Unsupported {
  /** As in `RUN --mount is not supported yet`. */
  readonly what: string;
  readonly part?: SourcePart;
  readonly hint?: string;
}

/** Throws UNSUPPORTED, at the instruction's line, for an instruction of a stage that cannot be executed. */
export function needSupported(dockerfile: Dockerfile, instruction: StageInstruction): void {
  const found = findUnsupported(instruction);
  if (found === undefined) return;
  throw new TsbuildError('UNSUPPORTED', `Cannot build ${dockerfile.file}: ${found.what} is not supported yet`, {
    hint: found.hint,
    location: locate(dockerfile, instruction, found.part),
  });
}

function findUnsupported(instruction: StageInstruction): Unsupported | undefined {
  switch (instruction.kind) {
    case 'run':
      return findInRun(instruction);
    default:
      return undefined;
  }
}

function findInRun({ devices }: RunInstruction): Unsupported | undefined {
  return devices.length > 0 ? flag('RUN', 'device') : undefined;
}

function flag(keyword: string, name: string): Unsupported {
  return { what: `${keyword} --${name}`, part: { kind: 'flag', name } };
}
