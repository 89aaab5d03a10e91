/** Every step: its instruction and where it stands, whether it was cached or why not, its time, layers and log. */
import type { BuildRecord, RecordedStage, RecordedStep } from '../records/build-record.ts';
import { missText } from '../text/miss-text.ts';
import { formatSize } from '../text/quantities.ts';
import { CHEVRON, type Html, markup } from './html.ts';
import { logMarkup } from './log-markup.ts';
import type { LogText, PageData } from './page-data.ts';
import { anchorOf, durationOf, shortTime, stateChip, stateOf } from './step-words.ts';

const SOURCE_LINES_MAX = 60;
/** A page with more takes long to open; the record has them all. */
const STEPS_MAX = 3000;

export function stepsSection(data: PageData): Html | undefined {
  const { stages } = data.record;
  if (stages.length === 0) return undefined;
  let left = STEPS_MAX;
  const shown = stages.flatMap((stage) => {
    const steps = stage.steps.slice(0, left);
    left -= steps.length;
    return steps.length === 0 ? [] : [{ stage, steps }];
  });
  const count = stages.reduce((sum, { steps }) => sum + steps.length, 0);
  return markup`<div class="tools" role="group" aria-label="Which steps to show">
<label class="search"><span>Filter</span><input type="search" id="filter" placeholder="instruction, reason or log" autocomplete="off" spellcheck="false"></label>
<span class="choices">${['all', 'made', 'cached', 'failed'].map((name) => markup`<button type="button" data-show="${name}" aria-pressed="${name === 'all' ? 'true' : 'false'}">${name}</button>`)}</span>
<button type="button" id="unfold" aria-pressed="false">unfold</button>
</div>
<p id="found" class="found" role="status"></p>
${count > STEPS_MAX && markup`<p>The first ${STEPS_MAX} of ${count} steps; <code>tsbuild builds inspect</code> shows all.</p>`}
${shown.map(({ stage, steps }) => stageSteps(data, stage, steps))}`;
}

function stageSteps(data: PageData, stage: RecordedStage, steps: readonly RecordedStep[]): Html {
  return markup`<div class="stage"><h3>${stage.name} <small>${stage.platform}</small></h3>
${steps.map((step) => stepDetails(data, step))}</div>`;
}

function stepDetails({ record, logs }: PageData, step: RecordedStep): Html {
  const state = stateOf(step);
  const ms = durationOf(step, record.durationMs);
  const log = logs.get(step.id);
  return markup`<details class="step ${state}" id="${anchorOf(step)}" data-state="${state}"${state === 'failed' && OPEN}>
<summary>${CHEVRON}<span class="number">${step.number}</span><code class="instruction">${step.text}</code>${stateChip(step)}<span class="time">${ms === undefined || state === 'cached' ? '' : shortTime(ms)}</span></summary>
<div class="inside">
${reasonsOf(step)}
${sourceOf(record, step)}
${factsOf(step, record)}
${log !== undefined && logOf(step, log)}
</div></details>
`;
}

const OPEN = markup` open`;

function reasonsOf({ reasons }: RecordedStep): Html | undefined {
  if (reasons.length === 0) return undefined;
  return markup`<div class="why"><h4>Why it was not in the cache</h4><ul>${reasons.map((reason) => markup`<li>${missText([reason])}</li>`)}</ul></div>`;
}

/** Where the summary does not have it already, word for word. */
function sourceOf({ dockerfile }: BuildRecord, { lines, text }: RecordedStep): Html | undefined {
  if (dockerfile === undefined) return undefined;
  const all = dockerfile.text.split(/\r?\n/).slice(lines.start - 1, lines.end);
  if (all.length === 1 && all[0]?.trim() === text) return undefined;
  const shown = all.slice(0, SOURCE_LINES_MAX);
  return markup`<h4>Source</h4>
<pre class="source" tabindex="0" aria-label="Source">${shown.map((line, i) => markup`<span class="line" data-line="${lines.start + i}">${line}</span>\n`)}${all.length > shown.length && markup`… ${all.length - shown.length} more lines`}</pre>`;
}

function factsOf(step: RecordedStep, { stages }: BuildRecord): Html {
  const known = new Map(stages.flatMap(({ steps }) => steps.map((other) => [other.id, other] as const)));
  const inputs = step.inputs.map((input) => {
    const other = known.get(input);
    return other === undefined
      ? markup`<li>${input
          .replace(/^image:/, 'image ')
          .replace(/^context:/, 'context ')
          .trim()}</li>`
      : markup`<li><a href="#${anchorOf(other)}">${input}</a></li>`;
  });
  const { start, end } = step.lines;
  const where = start === end ? `line ${start}` : `lines ${start} to ${end}`;
  const facts: (readonly [string, Html])[] = [
    ['Dockerfile', markup`${where}`],
    ...(inputs.length === 0 ? [] : ([['Stands on or reads', markup`<ul class="inputs">${inputs}</ul>`]] as const)),
    ...(step.startedMs === undefined ? [] : ([['Began', markup`${shortTime(step.startedMs)} after the start`]] as const)),
    ...(step.exitCode === undefined ? [] : ([['Exit code', markup`${step.exitCode}`]] as const)),
    ...(step.signal === undefined ? [] : ([['Killed by', markup`${step.signal}`]] as const)),
    ...step.layers.map(({ digest, size }) => ['Layer', markup`${formatSize(size)} <code class="digest">${digest}</code>`] as const),
  ];
  return markup`<dl class="facts">${facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function logOf({ logBytes }: RecordedStep, { text, leftOut }: LogText): Html {
  return markup`<h4>Log <small>${formatSize(logBytes)}${leftOut > 0 && `, ${formatSize(leftOut)} of it left out`}</small></h4>
<pre class="log" tabindex="0" aria-label="Log">${logMarkup(text)}</pre>`;
}
