/** What provenance is told of one platform's build: plain values, made of the plan and of what happened. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Material } from './materials.ts';

export interface BuildFacts {
  /** Where the Dockerfile came from, where that was not this machine. */
  readonly source: Material | undefined;
  /** Name of the Dockerfile in its directory, or in its source. */
  readonly entryPoint: string | undefined;
  readonly target: string | undefined;
  /** By names of docker's: `build-arg:NAME`, `label:NAME`. */
  readonly args: Readonly<Record<string, string>>;
  /** Nothing of what was given was withheld from `args`. */
  readonly isEveryArgTold: boolean;
  readonly secrets: readonly MountedSecret[];
  readonly ssh: readonly MountedSecret[];
  /** Names of directories and archives that were read, of which nobody knows what they were. */
  readonly locals: readonly string[];
  /** Of the machine. */
  readonly builderPlatform: string;
  readonly materials: readonly Material[];
  /** No command had a network. */
  readonly isOffline: boolean;
  /** undefined: the build is one that is to be the same again, so that it has neither time nor number. */
  readonly invocation: { readonly id: string; readonly startedAt: string; readonly finishedAt: string } | undefined;
  readonly steps: readonly StepFacts[];
  readonly dockerfile: { readonly name: string; readonly text: string };
  /** By `StepFacts.id`; none where no image was made. */
  readonly layers: ReadonlyMap<string, readonly Descriptor[]>;
}

/** Never its value. */
export interface MountedSecret {
  readonly id: string;
  readonly isOptional: boolean;
}

/** One step of the plan as data, in the place of BuildKit's LLB. */
export interface StepFacts {
  /** `step0` and so on, in the order of the plan. */
  readonly id: string;
  readonly stage: string;
  readonly platform: string;
  /** The instruction as it was planned: its kind and its words, before variables are expanded. */
  readonly instruction: object;
  /** Ids of the steps, and purls of the images, whose files it stands on or reads. */
  readonly inputs: readonly string[];
  /** Of the Dockerfile; 1-based. */
  readonly lines: { readonly start: number; readonly end: number };
}
