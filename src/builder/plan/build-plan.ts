/** The build plan: stages, edges and steps before anything runs. Pure data: no handle, no clock, no path of the state directory. */
import type { StepLabel } from '../../events.ts';
import type { Platform } from '../../oci/platform.ts';
import type { Dockerfile, FromInstruction, Instruction } from '../../parser/instruction.ts';

export interface BuildPlan {
  readonly dockerfile: Dockerfile;
  /** Only what the target needs, every stage after those that it depends on; `stages[i].index === i`. */
  readonly stages: readonly Stage[];
  /** Index in `stages` of the stage whose result is exported: the last one. */
  readonly target: number;
  readonly platform: Platform;
  readonly args: ArgSources;
}

/** Where the value of an ARG may come from; `resolveArg` (build-args.ts) knows the order. */
export interface ArgSources {
  /** ARGs before the first FROM, with `--build-arg` and defaults applied; platform arguments included. */
  readonly globalArgs: ReadonlyMap<string, string>;
  /** As given by the caller. */
  readonly buildArgs: ReadonlyMap<string, string>;
}

export interface Stage {
  /** Position in `BuildPlan.stages`. */
  readonly index: number;
  /** For display: its `AS` name, else `stage-N` with its 0-based number in the Dockerfile. */
  readonly name: string;
  readonly base: StageBase;
  readonly platform: Platform;
  /** The FROM first. */
  readonly steps: readonly Step[];
}

export type StageBase = { readonly kind: 'scratch' } | StepSource;

/**
 * Something that files come from: an earlier stage (index in `BuildPlan.stages`), an image (reference as written, expanded,
 * valid) or a named context (the key that `contextKey` gives it).
 */
export type StepSource =
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'context'; readonly name: string };

export interface Step {
  readonly label: StepLabel;
  readonly instruction: FromInstruction | StageInstruction;
  /** Of a `COPY --from`; undefined: the main build context. */
  readonly from?: StepSource;
  /** Of a RUN with mounts: what each reads from, in their order; undefined: the build context, or nothing. */
  readonly mountSources?: readonly (StepSource | undefined)[];
}

/** An instruction that may follow FROM. */
export type StageInstruction = Exclude<Instruction, FromInstruction>;
