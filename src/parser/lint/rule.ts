/** What a lint rule is and what it looks at. Pure: facts from outside the Dockerfile come in with the subject. */
import type { SourceRange } from '../../errors.ts';
import type { ArgInstruction, Dockerfile, FromInstruction, Instruction } from '../instruction.ts';

export interface Rule {
  /** BuildKit's name, so that the same `# check=` works with both; `docs/rules/NAME.md` is its page. */
  readonly name: string;
  /** One sentence, the same for every finding. */
  readonly description: string;
  /** Only looked at where `# check=experimental=` or an option names it. */
  readonly isExperimental?: true;
  check(subject: LintSubject): Finding[];
}

export interface Finding {
  readonly range: SourceRange;
  /** What was found here: a sentence without its full stop. */
  readonly detail: string;
}

/** A Dockerfile with its words expanded as a build would. */
export interface LintSubject {
  readonly dockerfile: Dockerfile;
  /** ARGs before the first FROM. */
  readonly globals: readonly ArgInstruction[];
  /** What they, and the platform arguments, stand for. */
  readonly globalValues: ReadonlyMap<string, string | undefined>;
  /** Every stage as written. */
  readonly stages: readonly LintStage[];
  /** As in `linux/amd64`: what is built. */
  readonly platform: string;
  /** Whether the ignore file hides a clean path of the context; undefined where there is none. */
  readonly isIgnored: ((path: string) => boolean) | undefined;
}

export interface LintStage {
  readonly from: FromInstruction;
  /** The earlier stage that it stands on. */
  readonly parent: LintStage | undefined;
  /** false: what its instructions do is not looked at, since the target does not need it. */
  readonly isBuilt: boolean;
  readonly base: Expansion;
  /** The base where no build argument is given; undefined where it cannot be expanded. */
  readonly defaultBase: string | undefined;
  readonly platform: Expansion | undefined;
  /** What is known of its base image; undefined: nothing, or it has none. */
  readonly image: ImageFacts | undefined;
  readonly steps: readonly LintStep[];
}

export interface ImageFacts {
  /** `NAME=value` each. */
  readonly env: readonly string[];
  readonly hasShell: boolean;
  /** There is an image of that name, but none for the platform of the stage. */
  readonly isForOtherPlatform: boolean;
}

/** A word and what its variables stood for. */
export interface Expansion {
  /** As written where it cannot be expanded. */
  readonly text: string;
  /** It names no variable. */
  readonly isConstant: boolean;
  /** Names that had a value. */
  readonly used: readonly string[];
  /** Names that nothing declares. */
  readonly unset: readonly string[];
  /** Every name that is known there, for a suggestion. */
  known(): Iterable<string>;
}

export interface LintStep {
  readonly instruction: Exclude<Instruction, FromInstruction>;
  /** Words expanded; as written where one of them cannot be. */
  readonly expanded: Exclude<Instruction, FromInstruction>;
  /** Names that nothing declares; empty where the environment of the base image is not known. */
  readonly unset: readonly string[];
  known(): Iterable<string>;
  /** Of an ARG: each name that it declares, with its value. */
  readonly argValues?: ReadonlyMap<string, string | undefined>;
}

/** Steps whose effects count, with their stage. */
export function* builtSteps({ stages }: LintSubject): Generator<LintStep & { readonly stage: LintStage }> {
  for (const stage of stages) if (stage.isBuilt) for (const step of stage.steps) yield { ...step, stage };
}
