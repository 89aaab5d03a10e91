/** A Dockerfile as the lint rules see it: every word expanded as a build would, faults left for planning to tell. Pure. */
import { TsbuildError } from '../../errors.ts';
import { formatPlatform, normalizePlatform } from '../../oci/platform.ts';
import { expandWord, type Lookup } from '../../parser/expand.ts';
import type { ArgInstruction, Dockerfile, FromInstruction, Word } from '../../parser/instruction.ts';
import type { Expansion, ImageFacts, LintStage, LintStep, LintSubject } from '../../parser/lint/rule.ts';
import { type Platforms, platformArgs } from './build-args.ts';
import type { StageInstruction } from './build-plan.ts';
import { expandInstruction } from './expand-instruction.ts';
import { isDeclared, namesIn, type Scope, valueIn } from './lint-scope.ts';
import { splitStages } from './source-stages.ts';

export interface LintInput extends Platforms {
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Stages whose instructions are looked at, by their FROM. */
  readonly built: 'all' | ReadonlySet<FromInstruction>;
  readonly isIgnored?: ((path: string) => boolean) | undefined;
  /** By name as FROM has it, expanded. Where an image is missing nothing is said about variables, which it may set. */
  readonly images?: ReadonlyMap<string, ImageFacts> | undefined;
}

const DEFAULT_PATH_NAME = 'PATH';

export function lintSubject(dockerfile: Dockerfile, input: LintInput): LintSubject {
  const { globals, stages } = splitStages(dockerfile);
  const targetStage = stages.at(-1)?.from.as;
  const given = globalScope(dockerfile, globals, { ...input, targetStage });
  const defaults = globalScope(dockerfile, globals, { ...input, targetStage, buildArgs: new Map() });
  const lint: Lint = { dockerfile, input, globals: given, defaults, byName: new Map() };
  return {
    dockerfile,
    globals,
    globalValues: given.own,
    stages: stages.map(({ from, instructions }) => lintStage(lint, from, instructions)),
    platform: formatPlatform(normalizePlatform(input.platform)),
    isIgnored: input.isIgnored,
  };
}

/** Names that FROM gives images, expanded, stages left out: what `images` may tell of. */
export function baseImageNames(dockerfile: Dockerfile, input: Platforms & { readonly buildArgs: ReadonlyMap<string, string> }): string[] {
  const { globals, stages } = splitStages(dockerfile);
  const scope = globalScope(dockerfile, globals, { ...input, targetStage: stages.at(-1)?.from.as });
  const seen = new Set<string>();
  const names = new Set<string>();
  for (const { from } of stages) {
    const name = expand(from.image, scope, dockerfile).text;
    if (name !== '' && name !== 'scratch' && !seen.has(name)) names.add(name);
    if (from.as !== undefined) seen.add(from.as);
  }
  return [...names];
}

interface Lint {
  readonly dockerfile: Dockerfile;
  readonly input: LintInput;
  readonly globals: Scope;
  readonly defaults: Scope;
  readonly byName: Map<string, { readonly stage: LintStage; readonly scope: Scope; readonly isEnvKnown: boolean }>;
}

function lintStage(lint: Lint, from: FromInstruction, instructions: readonly StageInstruction[]): LintStage {
  const { dockerfile, input, byName } = lint;
  const base = expand(from.image, lint.globals, dockerfile);
  const parent = byName.get(base.text);
  const image = parent === undefined ? input.images?.get(base.text) : undefined;
  const isEnvKnown = parent?.isEnvKnown ?? (base.text === 'scratch' || image !== undefined);
  const scope: Scope = { own: new Map(), below: parent?.scope };
  for (const text of [DEFAULT_PATH_NAME, ...(image?.env ?? [])])
    scope.own.set(text.split('=', 1)[0] ?? '', text.slice(text.indexOf('=') + 1));
  const stage: LintStage = {
    from,
    parent: parent?.stage,
    isBuilt: input.built === 'all' || input.built.has(from),
    base,
    defaultBase: defaultBase(lint, from),
    platform: from.platform === undefined ? undefined : expand(from.platform, lint.globals, dockerfile),
    image,
    steps: instructions.map((instruction) => {
      const step = instruction.kind === 'arg' ? argStep(lint, instruction, scope) : otherStep(lint, instruction, scope);
      return isEnvKnown ? step : { ...step, unset: [] };
    }),
  };
  if (from.as !== undefined) byName.set(from.as, { stage, scope, isEnvKnown });
  return stage;
}

function defaultBase({ dockerfile, defaults }: Lint, { image }: FromInstruction): string | undefined {
  try {
    return expandWord(image, (name) => valueIn(defaults, name), { escape: dockerfile.escape });
  } catch (error) {
    return faultOnly(error);
  }
}

/** One declaration sees those before it on its line; a default that does not count is not looked at. */
function argStep({ dockerfile, input, globals }: Lint, instruction: ArgInstruction, scope: Scope): LintStep {
  const unset = new Set<string>();
  const argValues = new Map<string, string | undefined>();
  for (const { key, value } of instruction.declarations) {
    const name = expand(key, scope, dockerfile).text;
    const ownDefault = (): string | undefined =>
      value === undefined
        ? valueIn(globals, name)
        : tracked(scope, unset, (lookup) => expandWord(value, lookup, { escape: dockerfile.escape }));
    argValues.set(name, input.buildArgs.get(name) ?? ownDefault());
    scope.own.set(name, argValues.get(name));
  }
  return {
    argValues,
    instruction,
    expanded: instruction,
    unset: [...unset],
    known: () => [...namesIn(scope)].filter((name) => !unset.has(name)),
  };
}

function otherStep({ dockerfile }: Lint, instruction: StageInstruction, scope: Scope): LintStep {
  const unset = new Set<string>();
  const options = { escape: dockerfile.escape };
  const expanded = tracked(scope, unset, (lookup) => expandInstruction(instruction, lookup, options)) ?? instruction;
  for (const word of otherWords(instruction)) tracked(scope, unset, (lookup) => expandWord(word, lookup, options));
  // As the names are now, before this instruction sets any; only a suggestion needs them.
  const known = unset.size === 0 ? [] : namesIn(scope);
  if (expanded.kind === 'env') for (const { key, value } of expanded.pairs) scope.own.set(key, value);
  return { instruction, expanded, unset: [...unset], known: () => known };
}

/** Words with variables beside those of `expandInstruction`. */
function otherWords(instruction: StageInstruction): readonly Word[] {
  switch (instruction.kind) {
    case 'run':
      return instruction.mounts;
    case 'copy':
    case 'add':
      return instruction.sources.flatMap((source) => (source.kind === 'heredoc' && source.heredoc.expand ? [source.heredoc.body] : []));
    default:
      return [];
  }
}

interface GlobalInput extends Platforms {
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly targetStage: string | undefined;
}

function globalScope(dockerfile: Dockerfile, globals: readonly ArgInstruction[], input: GlobalInput): Scope {
  const scope: Scope = { own: new Map(), below: undefined };
  const { buildArgs } = input;
  for (const [name, value] of platformArgs(input, input.targetStage)) scope.own.set(name, buildArgs.get(name) ?? value);
  for (const { declarations } of globals) {
    for (const { key, value } of declarations) {
      const name = expand(key, scope, dockerfile).text;
      const own = value === undefined ? valueIn(scope, name) : expand(value, scope, dockerfile).text;
      scope.own.set(name, buildArgs.get(name) ?? own);
    }
  }
  return scope;
}

function expand(word: Word, scope: Scope, { escape: escapeChar }: Dockerfile): Expansion {
  const unset = new Set<string>();
  const used = new Set<string>();
  let isConstant = true;
  const text = tracked(scope, unset, (lookup) => {
    const noted: Lookup = (name) => {
      const value = lookup(name);
      isConstant = false;
      if (value !== undefined) used.add(name);
      return value;
    };
    return expandWord(word, noted, { escape: escapeChar });
  });
  return { text: text ?? word, isConstant, used: [...used], unset: [...unset], known: () => namesIn(scope) };
}

/** Puts every name into `unset` that `act` asks for and nothing declares; undefined where the words cannot be expanded. */
function tracked<T>(scope: Scope, unset: Set<string>, act: (lookup: Lookup) => T): T | undefined {
  try {
    return act((name) => {
      if (!isDeclared(scope, name)) unset.add(name);
      return valueIn(scope, name);
    });
  } catch (error) {
    return faultOnly(error);
  }
}

/** A fault of the Dockerfile is told by planning; anything else goes on. */
function faultOnly(error: unknown): undefined {
  if (!(error instanceof TsbuildError)) throw error;
  return undefined;
}
