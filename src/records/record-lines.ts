/**
 * The lines of a record, one JSON value each, in the order in which things happened. A reader passes over kinds that it does not know,
 * and over a last line that is torn.
 */
import type { MissReason, StepEndEvent } from '../events.ts';
import type {
  AskedBuild,
  BuildState,
  Maker,
  PlannedStep,
  RecordedDockerfile,
  RecordedError,
  RecordedImage,
  RecordedOutput,
  RecordedTransfer,
  RecordedWarning,
  StepCounts,
} from './build-record.ts';

export const FORMAT = 1;

export type RecordLine =
  | BuildLine
  | PlanLine
  /** `at` is milliseconds after the start, everywhere. */
  | { readonly kind: 'start'; readonly step: string; readonly at: number }
  | { readonly kind: 'miss'; readonly step: string; readonly reasons: readonly MissReason[] }
  | StepEndLine
  | ({ readonly kind: 'transfer' } & RecordedTransfer)
  | ({ readonly kind: 'warning' } & RecordedWarning)
  | ({ readonly kind: 'output' } & RecordedOutput)
  | { readonly kind: 'images'; readonly images: readonly RecordedImage[] }
  | { readonly kind: 'cut' }
  | EndLine;

/** The first: so that much is known of a build that was killed. */
export interface BuildLine {
  readonly kind: 'build';
  readonly format: typeof FORMAT;
  readonly startedAt: string;
  readonly asked: AskedBuild;
  readonly madeBy: Maker;
}

export interface PlanLine {
  readonly kind: 'plan';
  readonly dockerfile: RecordedDockerfile;
  readonly stages: readonly PlannedStage[];
}

export interface PlannedStage {
  readonly name: string;
  readonly platform: string;
  readonly base: string;
  readonly steps: readonly PlannedStep[];
}

export interface StepEndLine {
  readonly kind: 'end';
  readonly step: string;
  readonly at: number;
  readonly outcome: StepEndEvent['outcome'];
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
}

/** The last: what a list shows is in it, so that a list reads no more than it and the first. */
export interface EndLine {
  readonly kind: 'finish';
  readonly at: number;
  readonly state: Extract<BuildState, 'done' | 'failed' | 'canceled'>;
  readonly steps: StepCounts;
  readonly digest?: string | undefined;
  readonly error?: RecordedError | undefined;
}

/** undefined for what is no line of a record. */
export function parseLine(text: string): RecordLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isLine = typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
    return isLine ? (value as RecordLine) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
