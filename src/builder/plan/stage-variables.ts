/** What ENV and ARG set, as expansion and RUN see it: the later of the two wins, whichever it is. */
import { expandWord } from '../../parser/expand.ts';
import type { ArgDeclaration, ArgInstruction, Escape } from '../../parser/instruction.ts';
import { isVariableName, resolveArg } from './build-args.ts';
import type { ArgSources, StageInstruction } from './build-plan.ts';
import { expandInstruction } from './expand-instruction.ts';

/** What PATH is where the base image does not say. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Declaring {
  readonly args: ArgSources;
  readonly escape: Escape;
}

/** The variables that an instruction, not yet expanded, sets; a name without a value is not among them. Throws EXPANSION. */
export function declaredBy(
  written: StageInstruction,
  before: ReadonlyMap<string, string>,
  declaring: Declaring,
): ReadonlyMap<string, string> {
  if (written.kind !== 'env' && written.kind !== 'arg') return new Map();
  const instruction = expandInstruction(written, (name) => before.get(name), { escape: declaring.escape });
  if (instruction.kind === 'env') return new Map(instruction.pairs.map(({ key, value }) => [key, value]));
  if (instruction.kind !== 'arg') throw new Error('Expansion changes no kind');
  const declared = resolveDeclarations(instruction, before, declaring);
  return new Map(declared.flatMap(({ key, value }) => (value === undefined || !isVariableName(key) ? [] : [[key, value] as const])));
}

/** The declarations of an ARG with their values. Unlike the pairs of an ENV, one sees those before it on its line. */
export function resolveDeclarations(
  { declarations }: ArgInstruction,
  before: ReadonlyMap<string, string>,
  declaring: Declaring,
): ArgDeclaration[] {
  const variables = new Map(before);
  return declarations.map((declaration) => {
    const { key } = declaration;
    const value = resolveArg(declaration, declaring.args, (word) =>
      expandWord(word, (name) => variables.get(name), { escape: declaring.escape }),
    );
    if (value !== undefined && isVariableName(key)) variables.set(key, value);
    return { key, value };
  });
}

/** `A=b` strings → Map in their order; a string without `=` is no variable. */
export function parseEnv(env: readonly string[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const text of env) {
    const equals = text.indexOf('=');
    if (equals > 0) variables.set(text.slice(0, equals), text.slice(equals + 1));
  }
  return variables;
}
