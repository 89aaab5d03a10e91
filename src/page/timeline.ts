/** When each step ran, and which of them the build had to wait for: plain values out of a record. */
import type { BuildRecord, RecordedStep } from '../records/build-record.ts';

export interface Bar {
  readonly step: RecordedStep;
  readonly startMs: number;
  readonly endMs: number;
  readonly isCritical: boolean;
}

export interface Timeline {
  /** Up to the end of the build, or of what is known of it. */
  readonly totalMs: number;
  readonly stages: readonly { readonly name: string; readonly bars: readonly Bar[] }[];
  /** From the first to the last: each began when the one before had ended, or later. */
  readonly critical: readonly RecordedStep[];
}

/** Steps that never began have no bar; one that has not ended goes on to the end. */
export function timelineOf(record: BuildRecord): Timeline {
  const steps = record.stages.flatMap((stage) => stage.steps);
  const known = Math.max(
    0,
    ...steps.map(({ startedMs, endedMs }) => endedMs ?? startedMs ?? 0),
    ...record.transfers.map(({ endedMs }) => endedMs),
  );
  const totalMs = Math.max(1, record.durationMs ?? known);
  const critical = criticalPath(steps, totalMs);
  const isCritical = new Set(critical.map(({ id }) => id));
  const stages = record.stages.map(({ name, steps: own }) => ({
    name,
    bars: own.flatMap((step): Bar[] =>
      step.startedMs === undefined
        ? []
        : [
            {
              step,
              startMs: step.startedMs,
              endMs: Math.max(step.startedMs, step.endedMs ?? totalMs),
              isCritical: isCritical.has(step.id),
            },
          ],
    ),
  }));
  return { totalMs, stages, critical };
}

/**
 * Back from the step that ended last: of the steps that each stands on or reads, the one that ended last is what it waited for.
 * A step that is its own input (no plan has one) ends the walk.
 */
export function criticalPath(steps: readonly RecordedStep[], totalMs: number): RecordedStep[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const endOf = (step: RecordedStep): number => step.endedMs ?? totalMs;
  const lastOf = (candidates: readonly RecordedStep[]): RecordedStep | undefined =>
    candidates
      .filter(({ startedMs }) => startedMs !== undefined)
      .reduce<RecordedStep | undefined>((last, step) => (last === undefined || endOf(step) >= endOf(last) ? step : last), undefined);
  const seen = new Set<string>();
  const path: RecordedStep[] = [];
  for (let at = lastOf(steps); at !== undefined && !seen.has(at.id); ) {
    seen.add(at.id);
    path.unshift(at);
    at = lastOf(at.inputs.flatMap((id) => byId.get(id) ?? []));
  }
  return path;
}
