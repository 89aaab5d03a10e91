/** Events of a build that may start over: what was told of a step is not told again, unless the step now runs, fails, or is stopped. */
import type { BuildEvent, Emit, StepEndEvent, StepStartEvent } from '../events.ts';

export function tellOnce(emit: Emit): Emit {
  const ended = new Map<string, StepEndEvent['outcome']>();
  /** Starts of steps that have ended before: told when there is more to say. */
  const held = new Map<string, StepStartEvent>();
  const release = (id: string): void => {
    const start = held.get(id);
    held.delete(id);
    if (start !== undefined) emit(start);
  };
  return (event: BuildEvent): void => {
    if (event.kind === 'step-start' && ended.has(event.step.id)) {
      held.set(event.step.id, event);
      return;
    }
    if (event.kind === 'step-end') {
      const { outcome, step } = event;
      const isKnown = outcome === 'cached' || (outcome === 'done' && ended.get(step.id) === 'done');
      if (held.has(step.id) && isKnown) {
        held.delete(step.id);
        return;
      }
      if (outcome === 'cached' || outcome === 'done') ended.set(step.id, outcome);
    }
    if ('step' in event) release(event.step.id);
    emit(event);
  };
}
