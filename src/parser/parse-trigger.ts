/** The text of an ONBUILD trigger, as an image's config or a Dockerfile has it → the instruction that a child runs. Foreign text, perhaps. */
import { TsbuildError } from '../errors.ts';
import type { FromInstruction, Instruction } from './instruction.ts';
import type { DockerfileText } from './location.ts';
import { parseInstruction } from './parse-instruction.ts';
import { readRawInstruction } from './raw-instruction.ts';
import { segment, splitLines } from './segment.ts';

const FORBIDDEN: ReadonlySet<string> = new Set(['ONBUILD', 'FROM', 'MAINTAINER']);
const SHOWN = 200;

/**
 * The instruction, placed at `from`, the FROM that brought it. As when the trigger was written down, the escape
 * character is the backslash. Throws what parsing throws, naming the trigger.
 */
export function parseTrigger(trigger: string, from: FromInstruction): Exclude<Instruction, FromInstruction> {
  const source: DockerfileText = { file: 'ONBUILD trigger', text: trigger, escape: '\\' };
  try {
    const [part, ...more] = segment({ ...source, lines: splitLines(trigger) });
    if (part === undefined || more.length > 0) throw new TsbuildError('DOCKERFILE_SYNTAX', 'it is not one instruction');
    const raw = readRawInstruction(part, source, []);
    if (FORBIDDEN.has(raw.keyword)) throw new TsbuildError('DOCKERFILE_SYNTAX', `${raw.keyword} cannot be a trigger`);
    const instruction = parseInstruction(raw);
    if (instruction.kind === 'from') throw new TsbuildError('DOCKERFILE_SYNTAX', 'FROM cannot be a trigger');
    return { ...instruction, range: from.range };
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw new TsbuildError(
      'DOCKERFILE_SYNTAX',
      `Cannot run the ONBUILD trigger ${JSON.stringify(trigger.slice(0, SHOWN))}: ${error.message}`,
      {
        hint: 'The base image brings it; use another one, or build that one anew.',
        cause: error,
      },
    );
  }
}
