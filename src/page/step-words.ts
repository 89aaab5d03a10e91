/** Words for builds and steps that several parts of the page use. */
import type { BuildRecord, RecordedStep } from '../records/build-record.ts';
import { type Html, markup } from './html.ts';

export type StepState = 'made' | 'cached' | 'failed' | 'canceled' | 'unfinished' | 'plain' | 'skipped';

/** `plain`: it makes no files, and is neither found nor made. */
export function stateOf({ outcome, reasons, startedMs }: RecordedStep): StepState {
  if (outcome === undefined) return startedMs === undefined ? 'skipped' : 'unfinished';
  if (outcome !== 'done') return outcome;
  return reasons.length > 0 ? 'made' : 'plain';
}

const WORDS: Readonly<Record<StepState, string>> = {
  ...{ made: 'made', cached: 'cached', failed: 'failed', canceled: 'canceled' },
  ...{ unfinished: 'unfinished', plain: 'no files', skipped: 'not begun' },
};

export function stateChip(step: RecordedStep): Html {
  const state = stateOf(step);
  return markup`<span class="chip ${state}">${WORDS[state]}</span>`;
}

export function durationOf({ startedMs, endedMs }: RecordedStep, totalMs?: number): number | undefined {
  const end = endedMs ?? totalMs;
  return startedMs === undefined || end === undefined ? undefined : Math.max(0, end - startedMs);
}

/** For `id` attributes and links: a step's id has the name of its stage, and that is anybody's. */
export function anchorOf(step: Pick<RecordedStep, 'id'>): string {
  return `step-${Buffer.from(step.id).toString('base64url')}`;
}

/** Milliseconds where they count, as `38ms`, `1.4s`, `2m 05s`. */
export function shortTime(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(milliseconds < 9950 ? 2 : 1)}s`;
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
}

/** Its first tag, else the last part of what was built. */
export function buildTitle({ asked }: BuildRecord): string {
  return asked.tags[0] ?? (asked.context.replace(/\/+$/, '').split('/').at(-1) || asked.context);
}
