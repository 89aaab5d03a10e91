/** What a terminal shows of a build at one moment: events folded into stages, steps and transfers. Knows no terminal. */

import { milliseconds } from '../clock.ts';
import type { BuildEvent, MissReason, StepEndEvent, StepLabel, TransferEvent } from '../events.ts';
import { openOutputLines } from './output-lines.ts';

export interface StepView {
  readonly label: StepLabel;
  state: 'waiting' | 'running' | StepEndEvent['outcome'];
  /** Of milliseconds(). */
  startedAt: number;
  durationMs: number;
  /** Written since they were last taken. */
  newLines: string[];
  /** The remote cache that had it. */
  from?: string | undefined;
  /** Why it is not in the cache, where that was told. */
  miss: readonly MissReason[];
}

export interface BuildView {
  readonly stages: readonly { readonly name: string; readonly steps: readonly StepView[] }[];
  readonly transfers: ReadonlyMap<string, TransferEvent>;
  /** Lines to print below: warnings and finished images. */
  readonly notes: readonly BuildEvent[];
  apply(event: BuildEvent): void;
}

export function openBuildView(): BuildView {
  return new FoldedEvents();
}

class FoldedEvents implements BuildView {
  stages: { name: string; steps: StepView[] }[] = [];
  readonly transfers = new Map<string, TransferEvent>();
  readonly notes: BuildEvent[] = [];
  readonly #steps = new Map<string, StepView>();
  readonly #lines = openOutputLines();

  apply(event: BuildEvent): void {
    switch (event.kind) {
      case 'plan':
        this.stages = event.stages.map(({ name, steps }) => ({ name, steps: steps.map((label) => this.#step(label)) }));
        return;
      case 'step-start': {
        const step = this.#step(event.step);
        step.state = 'running';
        step.startedAt = milliseconds();
        return;
      }
      case 'step-miss':
        this.#step(event.step).miss = event.reasons;
        return;
      case 'step-output':
        this.#add(event.step, this.#lines.take(event));
        return;
      case 'step-end': {
        this.#add(event.step, this.#lines.rest(event.step));
        const step = this.#step(event.step);
        step.state = event.outcome;
        step.from = event.from;
        step.durationMs = event.durationMs;
        return;
      }
      case 'transfer':
        this.transfers.set(`${event.action} ${event.id}`, event);
        return;
      case 'warning':
      case 'cache':
      case 'image':
        this.notes.push(event);
    }
  }

  #add(label: StepLabel, lines: readonly string[]): void {
    const step = this.#step(label);
    step.newLines = [...step.newLines, ...lines].slice(-20);
  }

  #step(label: StepLabel): StepView {
    const known = this.#steps.get(label.id);
    if (known !== undefined) return known;
    const step: StepView = { label, state: 'waiting', startedAt: 0, durationMs: 0, newLines: [], miss: [] };
    this.#steps.set(label.id, step);
    return step;
  }
}
