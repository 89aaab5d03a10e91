/** What the engine says while it works. Renderers in `progress/` draw it; the engine itself never prints. */

import type { TsbuildError } from './errors.ts';
import type { Digest } from './oci/digest.ts';

export type BuildEvent =
  | PlanEvent
  | StepStartEvent
  | StepMissEvent
  | StepOutputEvent
  | StepEndEvent
  | TransferEvent
  | WarningEvent
  | CacheEvent
  | ImageEvent;

/** Once, before anything runs: every step that will run or be found in the cache, in Dockerfile order. */
export interface PlanEvent {
  readonly kind: 'plan';
  readonly stages: readonly { readonly name: string; readonly steps: readonly StepLabel[] }[];
}

export interface StepLabel {
  /** Unique in a build, such as `build/2`; FROM has number 1. */
  readonly id: string;
  /** As in `[build 2/5]`. */
  readonly stage: string;
  readonly number: number;
  readonly count: number;
  /** The instruction as written, on one line, such as `RUN make`. */
  readonly text: string;
}

export interface StepStartEvent {
  readonly kind: 'step-start';
  readonly step: StepLabel;
}

/** Why a step is not in the cache, before it is made. Sent where the caller asked for it (`explain`). */
export interface StepMissEvent {
  readonly kind: 'step-miss';
  readonly step: StepLabel;
  /** At least one; the first says most. */
  readonly reasons: readonly MissReason[];
}

/** One difference between a step and the nearest that was made at its place before. No value of a secret is in it. */
export type MissReason =
  /** The caller wants no cache for it. */
  | { readonly kind: 'no-cache' }
  /** Nothing was made at this place before. */
  | { readonly kind: 'first' }
  /** The same step was made, but its result is gone. */
  | { readonly kind: 'lost' }
  /** What it starts from was made anew in this build, or is another result than then; `name` as a step or stage is shown. */
  | { readonly kind: 'parent'; readonly name: string }
  /** The base image is another: digests of manifests. */
  | { readonly kind: 'base'; readonly name: string; readonly before: string | undefined; readonly after: string }
  /** A file that COPY or ADD takes. */
  | { readonly kind: 'file'; readonly path: string; readonly change: FileDifference }
  /** An ARG or ENV that RUN sees; values only where they are short and the name is not that of a secret. */
  | {
      readonly kind: 'variable';
      readonly name: string;
      readonly change: 'added' | 'removed' | 'changed';
      readonly before?: string;
      readonly after?: string;
    }
  /** Another ingredient by its name, such as `--network`, `the command` or `stage "tools"`. */
  | { readonly kind: 'ingredient'; readonly name: string }
  /** How many differences are not listed. */
  | { readonly kind: 'more'; readonly count: number };

export type FileDifference = 'added' | 'removed' | 'content' | 'type or mode' | 'owner' | 'attributes';

/** Bytes that a RUN wrote, as they came: not necessarily whole lines nor valid UTF-8. */
export interface StepOutputEvent {
  readonly kind: 'step-output';
  readonly step: StepLabel;
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
}

export interface StepEndEvent {
  readonly kind: 'step-end';
  readonly step: StepLabel;
  readonly outcome: 'done' | 'cached' | 'failed' | 'canceled';
  readonly durationMs: number;
  readonly error?: TsbuildError;
  /** Of a cached step: the remote cache that had it; absent where the state directory had. */
  readonly from?: string;
}

/** Progress of bytes: a pull, a push, a context read, a layer packed. Sent at most some ten times a second per `id`. */
export interface TransferEvent {
  readonly kind: 'transfer';
  readonly action: 'pull' | 'push' | 'pack' | 'unpack' | 'context';
  /** What is moved, such as a digest or a reference. */
  readonly id: string;
  readonly bytes: number;
  /** undefined where the size is not known ahead. */
  readonly total: number | undefined;
  readonly state: 'running' | 'done' | 'exists' | 'mounted';
}

export interface WarningEvent {
  readonly kind: 'warning';
  readonly message: string;
  /** The lint rule that found it (docs/rules). */
  readonly rule?: string;
  readonly hint?: string;
}

/** A remote cache was read or written. */
export interface CacheEvent {
  readonly kind: 'cache';
  /** `missing`: there is none at that place, which is no failure. */
  readonly action: 'imported' | 'missing' | 'exported';
  /** The cache as it is shown, such as `registry registry.example/app:cache`. */
  readonly name: string;
  /** Steps that it has. */
  readonly steps: number;
  /** Cache mounts that it has. */
  readonly mounts: number;
  /** Of `imported`: what was read, which is no layer yet. Of `exported`: what it refers to. */
  readonly bytes: number;
}

/** An image is complete in the local store (`names`: every tag it got) or in a registry. */
export interface ImageEvent {
  readonly kind: 'image';
  /** `signed`: a signature is beside it in its repository. */
  readonly action: 'stored' | 'pushed' | 'written' | 'signed';
  readonly digest: Digest;
  readonly names: readonly string[];
  /** Sum of its blobs in bytes. */
  readonly size: number;
}

export type Emit = (event: BuildEvent) => void;
