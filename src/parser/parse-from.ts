/** `FROM [--platform=p] image [AS name]`. */
import { readFlags } from './flags.ts';
import type { FromInstruction } from './instruction.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';
import { splitBlanks } from './words.ts';

const FLAGS = { platform: 'string' } as const;
const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

export function parseFrom(raw: RawInstruction): FromInstruction {
  const { platform } = readFlags(raw, FLAGS);
  const [image, as, name, ...more] = splitBlanks(raw.rest);
  if (image === undefined || more.length > 0 || (as !== undefined && (name === undefined || as.toUpperCase() !== 'AS'))) {
    throw syntaxError(raw, 'FROM takes an image, or an image, AS and a name', { hint: 'Write FROM image[:tag] [AS name].' });
  }
  if (name !== undefined && !STAGE_NAME.test(name.toLowerCase())) {
    throw syntaxError(raw, `Cannot use ${JSON.stringify(name.slice(0, 80))} as the name of a stage`, {
      part: { kind: 'argument', value: name },
      hint: 'A name begins with a letter, followed by letters, digits, "-", "_" and ".".',
    });
  }
  // A flag without a value says nothing, unlike one that expands to nothing.
  return { kind: 'from', ...baseOf(raw), image, platform: platform === '' ? undefined : platform, as: name?.toLowerCase() };
}
