/** The words for the parts of a build view. */

import { milliseconds } from '../clock.ts';
import type { BuildEvent, TransferEvent } from '../events.ts';
import { missText } from '../text/miss-text.ts';
import { formatDuration, formatSize } from '../text/quantities.ts';
import { plainText } from '../text/terminal-text.ts';
import type { BuildView, StepView } from './build-view.ts';
import { cacheText } from './cache-text.ts';
import type { Screen } from './screen.ts';

type Paint = Screen['paint'];

export function stageText(stage: BuildView['stages'][number], paint: Paint): string {
  const ended = stage.steps.filter(({ state }) => state !== 'waiting' && state !== 'running').length;
  return paint.bold(`${plainText(stage.name)} ${ended}/${stage.steps.length}`);
}

/** With a line below where it was told why the step is not in the cache. */
export function stepText(step: StepView, paint: Paint): string {
  const line = stepLine(step, paint);
  return step.miss.length === 0 ? line : `${line}\n${paint.dim(`  MISS: ${missText(step.miss)}`)}`;
}

function stepLine({ label, state, startedAt, durationMs, from }: StepView, paint: Paint): string {
  const text = `[${plainText(label.stage)} ${label.number}/${label.count}] ${plainText(label.text)}`;
  switch (state) {
    case 'waiting':
      return paint.dim(text);
    case 'running':
      return `${text} ${formatDuration(milliseconds() - startedAt)}`;
    case 'cached':
      return `${text} ${paint.cyan('CACHED')}${from === undefined ? '' : paint.dim(` from ${plainText(from)}`)}`;
    case 'done':
      return `${text} ${paint.dim(formatDuration(durationMs))}`;
    case 'failed':
      return paint.red(`${text} FAILED ${formatDuration(durationMs)}`);
    case 'canceled':
      return paint.dim(`${text} CANCELED`);
  }
}

/** One line for each kind of transfer: `pull 3/5 12.3MB / 50.1MB`. Empty without transfers. */
export function transferLines(transfers: Iterable<TransferEvent>): string[] {
  const byAction = new Map<TransferEvent['action'], TransferEvent[]>();
  for (const transfer of transfers) byAction.set(transfer.action, [...(byAction.get(transfer.action) ?? []), transfer]);
  return [...byAction].map(([action, all]) => {
    const ended = all.filter(({ state }) => state !== 'running').length;
    const bytes = all.reduce((sum, transfer) => sum + transfer.bytes, 0);
    const totals = all.map(({ total }) => total);
    const total = totals.every((size) => size !== undefined) ? ` / ${formatSize(totals.reduce((sum, size) => sum + size, 0))}` : '';
    return `${action} ${ended}/${all.length} ${formatSize(bytes)}${ended === all.length ? '' : total}`;
  });
}

export function noteText(event: BuildEvent, paint: Paint): string {
  if (event.kind === 'warning') {
    return `${paint.yellow('warning')}: ${plainText(event.message)}${event.hint === undefined ? '' : ` (${plainText(event.hint)})`}`;
  }
  if (event.kind === 'cache') return cacheText(event);
  if (event.kind !== 'image') return '';
  const names = event.names.length === 0 ? '' : ` as ${event.names.map(plainText).join(', ')}`;
  return `${event.action} ${paint.dim(event.digest)}${names}${event.action === 'signed' ? '' : ` (${formatSize(event.size)})`}`;
}
