/** `ONBUILD instruction`: the trigger is checked now and kept as text for the image that is built on this one. */
import { extractFlags } from './flag-words.ts';
import { NO_FLAGS, readFlags } from './flags.ts';
import type { Instruction, OnbuildInstruction } from './instruction.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';
import { splitFirst } from './words.ts';

const FORBIDDEN: ReadonlySet<string> = new Set(['ONBUILD', 'FROM', 'MAINTAINER']);

/** `parseInstruction` is passed in because it knows this function. */
export function parseOnbuild(raw: RawInstruction, parseInstruction: (raw: RawInstruction) => Instruction): OnbuildInstruction {
  readFlags(raw, NO_FLAGS);
  const { first, rest } = splitFirst(raw.rest);
  const keyword = first.toUpperCase();
  if (keyword === '') throw syntaxError(raw, 'ONBUILD takes an instruction');
  if (FORBIDDEN.has(keyword)) throw syntaxError(raw, `ONBUILD cannot take ${keyword}`);
  parseInstruction({ ...raw, keyword, ...extractFlags(rest) });
  const bodies = raw.heredocs.map(({ body, name }) => `\n${body}${name}`);
  return { kind: 'onbuild', ...baseOf(raw), trigger: raw.rest + bodies.join('') };
}
