/** The build plan: stages, edges and steps before anything runs. Pure data: no handle, no clock, no path of the state directory. */
import type { SourceRange } from '../../errors.ts';
import type { StepLabel } from '../../events.ts';
import { formatPlatform, type Platform } from '../../oci/platform.ts';
import type { Dockerfile, FromInstruction, Instruction } from '../../parser/instruction.ts';
import type { StepDevices } from './step-devices.ts';

export interface BuildPlan {
  readonly dockerfile: Dockerfile;
  /** Only what the target needs, every stage after those that it depends on; `stages[i].index === i`. */
  readonly stages: readonly Stage[];
  /** Index in `stages` of the stage whose result is exported: the last one. */
  readonly target: number;
  /** What the result is for, and TARGETPLATFORM says. */
  readonly platform: Platform;
  /** Somebody chose it; else a base image's own platform is the result's. */
  readonly isPlatformGiven: boolean;
  readonly args: ArgSources;
  /** Every image that the stages stand on or copy from, each once, with the place of the first instruction that names it. */
  readonly images: readonly (ImageSource & { readonly range: SourceRange })[];
  /** `unknown`: a step wants devices, and planning was not told what this machine has. */
  readonly devices: 'known' | 'unknown';
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
  /** What its RUNs run as. */
  readonly platform: Platform;
  /** The FROM first. */
  readonly steps: readonly Step[];
}

export type StageBase = { readonly kind: 'scratch' } | StepSource;

/** Something that files come from: an earlier stage (index in `BuildPlan.stages`), an image or a named context (the key that `contextKey` gives it). */
export type StepSource =
  | { readonly kind: 'stage'; readonly index: number }
  | ImageSource
  | { readonly kind: 'context'; readonly name: string };

export interface ImageSource {
  readonly kind: 'image';
  /** As written, expanded, valid; or the `oci-layout://` address of a named context. */
  readonly reference: string;
  readonly platform: Platform;
}

/** What planning is told of an image: what its config says that later instructions depend on. */
export interface BaseFacts {
  readonly env: readonly string[];
  readonly onBuild: readonly string[];
  /** What it is for: perhaps another platform than was asked for, where it comes in one only. */
  readonly platform: Platform;
}

/** The name of an image and a platform in a table. */
export function imageKey({ reference, platform }: Omit<ImageSource, 'kind'>): string {
  return `${formatPlatform(platform)} ${reference}`;
}

export interface Step {
  readonly label: StepLabel;
  readonly instruction: FromInstruction | StageInstruction;
  /** Of a `COPY --from`; undefined: the main build context. */
  readonly from?: StepSource;
  /** Of a RUN with mounts: what each reads from, in their order; undefined: the build context, or nothing. */
  readonly mountSources?: readonly (StepSource | undefined)[];
  /** Of a RUN with devices, once it is known what this machine has. */
  readonly devices?: StepDevices;
  /** The base image or stage brought it with ONBUILD; then its place is the FROM. */
  readonly isTrigger?: boolean;
}

/** An instruction that may follow FROM. */
export type StageInstruction = Exclude<Instruction, FromInstruction>;
