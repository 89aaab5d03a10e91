/** What the engine says while it works. Renderers in `progress/` draw it; the engine itself never prints. */

import type { TsbuildError } from './errors.ts';
import type { Digest } from './oci/digest.ts';

export type BuildEvent = PlanEvent | StepStartEvent | StepOutputEvent | StepEndEvent | TransferEvent | WarningEvent | ImageEvent;

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
