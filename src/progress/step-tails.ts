/** The last lines that each running step wrote, kept for the step that fails. */
import type { BuildEvent } from '../events.ts';
import { openOutputLines } from './output-lines.ts';

const LINES_MAX = 20;

export interface StepTails {
  event(event: BuildEvent): void;
  /** At most 20 lines of the first step that failed; none where no step has. */
  ofFailed(): readonly string[];
}

export function openStepTails(): StepTails {
  const lines = openOutputLines();
  const tails = new Map<string, string[]>();
  let failed: readonly string[] | undefined;
  const add = (id: string, more: readonly string[]): void => {
    tails.set(id, [...(tails.get(id) ?? []), ...more].slice(-LINES_MAX));
  };
  return {
    event(event) {
      if (event.kind === 'step-output') add(event.step.id, lines.take(event));
      if (event.kind !== 'step-end') return;
      add(event.step.id, lines.rest(event.step));
      if (event.outcome === 'failed') failed ??= tails.get(event.step.id) ?? [];
      tails.delete(event.step.id);
    },
    ofFailed: () => failed ?? [],
  };
}
