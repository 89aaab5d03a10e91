/** Words as they were written, where the parsed instruction keeps only their meaning. */
import { extractFlags } from '../flag-words.ts';
import type { FromInstruction, Instruction } from '../instruction.ts';
import { splitBlanks, splitFirst } from '../words.ts';

/** The keyword in its own case. */
export function keywordOf({ text }: Instruction): string {
  return splitFirst(text).first;
}

/** What follows keyword and flags. */
export function argumentsOf({ text }: Instruction): string {
  return extractFlags(splitFirst(text).rest).rest;
}

/** `AS` and the name of a FROM. */
export function fromWords(from: FromInstruction): { readonly as: string | undefined; readonly name: string | undefined } {
  if (from.as === undefined) return { as: undefined, name: undefined };
  const [, as, name] = splitBlanks(argumentsOf(from));
  return { as, name };
}
