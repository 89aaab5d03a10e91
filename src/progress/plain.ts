/** Lines for logs and pipes: every line names its step by number, since steps run side by side. */

import { milliseconds } from '../clock.ts';
import { type TsbuildError, unreachable } from '../errors.ts';
import type { BuildEvent, StepEndEvent, StepLabel, TransferEvent } from '../events.ts';
import { missText } from '../text/miss-text.ts';
import { formatDuration, formatSize } from '../text/quantities.ts';
import { outputText, plainText } from '../text/terminal-text.ts';
import { cacheText } from './cache-text.ts';
import { openOutputLines } from './output-lines.ts';
import { printError } from './print-error.ts';
import type { Renderer } from './renderer.ts';
import type { Screen } from './screen.ts';

/** A running transfer says something this often. */
const TRANSFER_INTERVAL_MS = 2000;

/** `#3 [build 2/5] RUN make` · `#3 0.123 its output` · `#3 DONE 1.2s` or `#3 CACHED`. */
export function openPlainRenderer(screen: Screen): Renderer {
  return new PlainRenderer(screen);
}

/** A class for its state: the numbers given out and the open lines. */
class PlainRenderer implements Renderer {
  readonly #screen: Screen;
  readonly #lines = openOutputLines();
  /** Step or transfer → number, and when it was first seen. */
  readonly #seen = new Map<string, { readonly number: number; readonly at: number; saidAt: number }>();

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  event(event: BuildEvent): void {
    switch (event.kind) {
      case 'plan':
        return;
      case 'step-start':
        this.#start(event.step);
        return;
      case 'step-miss':
        this.#say(`step ${event.step.id}`, `MISS: ${missText(event.reasons)}`);
        return;
      case 'step-output':
        this.#output(event.step, this.#lines.take(event));
        return;
      case 'step-end':
        this.#stepEnd(event);
        return;
      case 'transfer':
        this.#transfer(event);
        return;
      case 'warning':
        this.#write(`WARNING: ${plainText(event.message)}${event.hint === undefined ? '' : ` (${plainText(event.hint)})`}`);
        return;
      case 'cache':
        this.#write(cacheText(event));
        return;
      case 'image': {
        const names = event.names.length === 0 ? '' : ` as ${event.names.map(plainText).join(', ')}`;
        this.#write(`${event.action} ${event.digest}${names}${event.action === 'signed' ? '' : ` (${formatSize(event.size)})`}`);
        return;
      }
      default:
        unreachable(event);
    }
  }

  async end(error?: TsbuildError): Promise<void> {
    if (error !== undefined) printError(this.#screen, error);
  }

  #start(step: StepLabel): void {
    this.#say(`step ${step.id}`, `[${plainText(step.stage)} ${step.number}/${step.count}] ${plainText(step.text)}`);
  }

  #output(step: StepLabel, lines: readonly string[]): void {
    const seconds = ((milliseconds() - this.#entry(`step ${step.id}`).at) / 1000).toFixed(3);
    if (lines.length === 0) return;
    // One write for all: a stream keeps an object for each.
    const start = `#${this.#entry(`step ${step.id}`).number} ${seconds} `;
    this.#write(lines.map((line) => `${start}${outputText(line, this.#screen.colours)}`).join('\n'));
  }

  #stepEnd({ step, outcome, durationMs, error, from }: StepEndEvent): void {
    if (!this.#seen.has(`step ${step.id}`)) this.#start(step);
    this.#output(step, this.#lines.rest(step));
    this.#say(`step ${step.id}`, `${outcomeText(outcome, durationMs, error)}${from === undefined ? '' : ` from ${plainText(from)}`}`);
  }

  #transfer(event: TransferEvent): void {
    const key = `${event.action} ${event.id}`;
    const entry = this.#entry(key);
    const now = milliseconds();
    if (event.state === 'running' && now - entry.saidAt < TRANSFER_INTERVAL_MS) return;
    entry.saidAt = now;
    this.#say(key, `${event.action} ${plainText(event.id)} ${transferText(event, now - entry.at)}`);
    if (event.state !== 'running') this.#seen.delete(key);
  }

  #say(key: string, text: string): void {
    this.#write(`#${this.#entry(key).number} ${text}`);
  }

  #entry(key: string): { readonly number: number; readonly at: number; saidAt: number } {
    const known = this.#seen.get(key);
    if (known !== undefined) return known;
    const now = milliseconds();
    const entry = { number: ++this.#count, at: now, saidAt: now };
    this.#seen.set(key, entry);
    return entry;
  }
  #count = 0;

  #write(line: string): void {
    this.#screen.stream.write(`${line}\n`);
  }
}

function outcomeText(outcome: StepEndEvent['outcome'], durationMs: number, error: TsbuildError | undefined): string {
  switch (outcome) {
    case 'done':
      return `DONE ${formatDuration(durationMs)}`;
    case 'cached':
      return 'CACHED';
    case 'failed':
      return `ERROR ${formatDuration(durationMs)}${error === undefined ? '' : ` ${plainText(error.message)}`}`;
    case 'canceled':
      return 'CANCELED';
  }
}

function transferText(event: TransferEvent, elapsedMs: number): string {
  switch (event.state) {
    case 'running':
      return event.total === undefined ? formatSize(event.bytes) : `${formatSize(event.bytes)} / ${formatSize(event.total)}`;
    case 'done':
      return `${formatSize(event.bytes)} DONE ${formatDuration(elapsedMs)}`;
    case 'exists':
    case 'mounted':
      return event.state.toUpperCase();
  }
}
