/** The timeline: a bar for each step that took time, and the path that decided how long it all took. */
import type { BuildRecord, RecordedStep } from '../records/build-record.ts';
import { type Html, markup } from './html.ts';
import { anchorOf, durationOf, shortTime, stateOf } from './step-words.ts';
import type { Bar, Timeline } from './timeline.ts';

/** Thousandths of the whole time: what is shorter is a hair. */
const UNITS = 1000;
const HAIR = 3;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const BARS_MAX = 400;
const PATH_MAX = 6;
const LEGEND = [
  ['critical', 'decided the time'],
  ['made', 'ran beside'],
  ['cached', 'cached'],
] as const;

export function timelineSection(timeline: Timeline, record: BuildRecord): Html | undefined {
  const { totalMs, stages } = timeline;
  const all = stages.flatMap(({ bars }) => bars);
  if (all.length === 0) return undefined;
  const worth = new Set(worthABar(all, totalMs));
  const rows = stages.map(({ name, bars }) => ({ name, bars: bars.filter((bar) => worth.has(bar)) })).filter(({ bars }) => bars.length > 0);
  const left = all.length - worth.size;
  return markup`${criticalText(timeline)}
<div class="timeline">
<div class="axis" aria-hidden="true"><span></span><span class="ticks">${TICKS.map((tick) => markup`<span>${tick === 0 ? '0' : shortTime(tick * totalMs)}</span>`)}</span><span></span></div>
${rows.map(({ name, bars }) => markup`<h3>${name}</h3><ol>${bars.map((bar) => barRow(bar, totalMs))}</ol>`)}
${exportRows(record, totalMs)}
</div>
<p class="legend">${LEGEND.map(([name, words]) => markup`<span><span class="key ${name}"></span>${words}</span> `)}${left > 0 && markup`<span class="left">${left} steps that took next to no time are left out</span>`}</p>`;
}

/** The longest, where there are too many. */
function worthABar(bars: readonly Bar[], totalMs: number): Bar[] {
  const length = ({ startMs, endMs }: Bar): number => endMs - startMs;
  const worth = bars.filter((bar) => stateOf(bar.step) !== 'plain' || length(bar) >= totalMs / 100);
  return worth.length <= BARS_MAX ? worth : worth.sort((a, b) => length(b) - length(a)).slice(0, BARS_MAX);
}

function criticalText({ critical, totalMs }: Timeline): Html | undefined {
  const timed = critical.map((step) => ({ step, ms: durationOf(step, totalMs) ?? 0 }));
  const most = timed
    .filter(({ ms }) => ms >= totalMs / 50)
    .sort((a, b) => b.ms - a.ms)
    .slice(0, PATH_MAX);
  if (most.length === 0) return undefined;
  return markup`<p class="lead">What the build waited for: a shorter build needs one of these to be shorter.</p>
<ol class="path">${most.map(
    ({ step, ms }) =>
      markup`<li><a href="#${anchorOf(step)}"><code>${step.text}</code></a><span class="share">${shortTime(ms)} · ${Math.round((100 * ms) / totalMs)}%</span></li>`,
  )}</ol>`;
}

function barRow({ step, startMs, endMs, isCritical }: Bar, totalMs: number): Html {
  const state = stateOf(step);
  const words = `${state}, from ${shortTime(startMs)} to ${shortTime(endMs)}${isCritical ? ', on the critical path' : ''}`;
  return markup`<li class="bar ${state}${isCritical ? ' critical' : ''}">
<a class="label" href="#${anchorOf(step)}" title="${step.text}"><code>${step.text}</code></a>
${barDrawing({ startMs, endMs, words }, totalMs)}
<span class="time">${timeText(step, endMs - startMs)}</span></li>`;
}

function timeText(step: RecordedStep, ms: number): string {
  return stateOf(step) === 'cached' ? 'cached' : shortTime(ms);
}

function barDrawing({ startMs, endMs, words }: { startMs: number; endMs: number; words: string }, totalMs: number): Html {
  const x = Math.min(UNITS - HAIR, Math.round((UNITS * startMs) / totalMs));
  const width = Math.max(HAIR, Math.min(UNITS - x, Math.round((UNITS * (endMs - startMs)) / totalMs)));
  return markup`<svg class="track" viewBox="0 0 ${UNITS} 10" preserveAspectRatio="none" role="img" aria-label="${words}"><title>${words}</title><rect x="${x}" y="0" width="${width}" height="10"/></svg>`;
}

const ACTIONS = { pull: 'Pull', push: 'Push', pack: 'Pack', unpack: 'Unpack', context: 'Context' } as const;

/** Pulls, packs and pushes of one kind as one bar. */
function exportRows({ transfers }: BuildRecord, totalMs: number): Html | undefined {
  const kinds = [...new Set(transfers.filter(({ startedMs, endedMs }) => endedMs > startedMs).map(({ action }) => action))];
  if (kinds.length === 0) return undefined;
  const rows = kinds.map((action) => {
    const own = transfers.filter((transfer) => transfer.action === action && transfer.endedMs > transfer.startedMs);
    const startMs = Math.min(...own.map(({ startedMs }) => startedMs));
    const endMs = Math.max(...own.map(({ endedMs }) => endedMs));
    const words = `${ACTIONS[action]}, from ${shortTime(startMs)} to ${shortTime(endMs)}`;
    return markup`<li class="bar transfer"><span class="label">${ACTIONS[action]} <small>${own.length === 1 ? (own[0]?.name.slice(0, 24) ?? '') : `${own.length} layers or files`}</small></span>${barDrawing({ startMs, endMs, words }, totalMs)}<span class="time">${shortTime(endMs - startMs)}</span></li>`;
  });
  return markup`<h3>Files and layers</h3><ol>${rows}</ol>`;
}
