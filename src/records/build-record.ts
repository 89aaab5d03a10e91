/** One build as it is remembered: plain values, printable as JSON. No value of a secret, an ARG or a label is in it. */
import type { MissReason, StepEndEvent, TransferEvent } from '../events.ts';
import type { Digest } from '../oci/digest.ts';

/** `interrupted`: its process was killed. */
export type BuildState = 'running' | 'done' | 'failed' | 'canceled' | 'interrupted';

export interface BuildSummary {
  /** Sortable by time: `20261129-054210123-8f3a2c` (UTC, milliseconds, random). */
  readonly id: string;
  readonly state: BuildState;
  /** Is kept until somebody removes it. */
  readonly isPinned: boolean;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly durationMs: number | undefined;
  readonly asked: AskedBuild;
  readonly steps: StepCounts | undefined;
  /** Of the first output that is an image. */
  readonly digest: Digest | undefined;
}

export interface BuildRecord extends BuildSummary {
  readonly madeBy: Maker;
  readonly dockerfile: RecordedDockerfile | undefined;
  /** In the Dockerfile's order, platform after platform; none where the build ended before it was planned. */
  readonly stages: readonly RecordedStage[];
  readonly transfers: readonly RecordedTransfer[];
  readonly warnings: readonly RecordedWarning[];
  readonly images: readonly RecordedImage[];
  readonly outputs: readonly RecordedOutput[];
  readonly error: RecordedError | undefined;
  /** What was left out, since there was more than a record holds. */
  readonly isCut: boolean;
}

/** What the caller wanted. Arguments, labels, secrets and agents by their names alone. */
export interface AskedBuild {
  readonly context: string;
  readonly dockerfile: string | undefined;
  readonly target: string | undefined;
  readonly tags: readonly string[];
  readonly platforms: readonly string[];
  readonly buildArgs: readonly string[];
  readonly labels: readonly string[];
  readonly secrets: readonly string[];
  readonly ssh: readonly string[];
  /** Types, such as `image`. */
  readonly outputs: readonly string[];
  readonly noCache: boolean;
}

/** What built, and where: nothing that names the machine or its user. */
export interface Maker {
  readonly tsbuild: string;
  readonly node: string;
  readonly platform: string;
  readonly kernel: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly user: 'root' | 'user namespace';
}

export interface StepCounts {
  readonly total: number;
  /** Found in the cache. */
  readonly cached: number;
  /** Not found there, and made. Others make no files. */
  readonly made: number;
}

export interface RecordedDockerfile {
  readonly name: string;
  readonly text: string;
}

export interface RecordedStage {
  readonly name: string;
  readonly platform: string;
  /** `image:NAME`, `context:NAME`, `stage:NAME`, or `scratch`. */
  readonly base: string;
  readonly steps: readonly RecordedStep[];
}

/** A step as it was planned. */
export interface PlannedStep {
  /** Unique in the build, such as `build/2`. */
  readonly id: string;
  readonly number: number;
  readonly count: number;
  /** The instruction on one line. */
  readonly text: string;
  /** Of the Dockerfile; 1-based. */
  readonly lines: { readonly start: number; readonly end: number };
  /** Ids of steps, `image:NAME`, `context:NAME` (the main one has none): whose files it stands on or reads. */
  readonly inputs: readonly string[];
}

export interface RecordedStep extends PlannedStep {
  /** Milliseconds after the start of the build; undefined where it never began. */
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  readonly outcome: StepEndEvent['outcome'] | undefined;
  /** Why it was not in the cache; none where it was, or makes no files. */
  readonly reasons: readonly MissReason[];
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly logBytes: number;
  readonly layers: readonly RecordedLayer[];
}

export interface RecordedLayer {
  readonly digest: Digest;
  /** Bytes as they are stored, compressed or not. */
  readonly size: number;
  readonly mediaType: string;
}

/** An image's layers from the lowest, with the step that brought each. */
export interface RecordedImage {
  readonly platform: string;
  readonly layers: readonly (RecordedLayer & { readonly step: string })[];
}

export interface RecordedTransfer {
  readonly action: TransferEvent['action'];
  readonly name: string;
  readonly bytes: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly state: TransferEvent['state'];
}

export interface RecordedWarning {
  readonly message: string;
  readonly rule: string | undefined;
  readonly hint: string | undefined;
}

/** An image that was stored, pushed, written or signed. */
export interface RecordedOutput {
  readonly action: string;
  readonly digest: Digest;
  readonly names: readonly string[];
  readonly size: number;
}

export interface RecordedError {
  readonly code: string | undefined;
  readonly message: string;
  readonly hint: string | undefined;
  /** The lines of the Dockerfile around the place. */
  readonly excerpt: string | undefined;
}
