/** What was built, when, how long it took, and what came of it. */
import type { BuildRecord, BuildState } from '../records/build-record.ts';
import { formatSize } from '../text/quantities.ts';
import { type Html, markup } from './html.ts';
import { efficiency, type PageData } from './page-data.ts';
import { anchorOf, buildTitle, shortTime, stateOf } from './step-words.ts';

const STATES: Readonly<Record<BuildState, string>> = {
  ...{
    done: 'Built',
    failed: 'Failed',
    canceled: 'Canceled',
    interrupted: 'Interrupted: its process was killed',
    running: 'Still running',
  },
};

export function headerSection(data: PageData): Html {
  const { record } = data;
  const { asked, state, startedAt, digest } = record;
  return markup`<header class="top">
<p class="state ${state}">${STATES[state]}${asked.target !== undefined && markup` · target <b>${asked.target}</b>`}</p>
<h1>${buildTitle(record)}</h1>
<p class="when"><time datetime="${startedAt}">${whenText(startedAt)}</time></p>
${digest !== undefined && markup`<p class="digest"><code>${digest}</code></p>`}
${asked.tags.length > 1 && markup`<p class="tags">${asked.tags.slice(1).map((tag) => markup`<code>${tag}</code> `)}</p>`}
<dl class="tiles">${tiles(data).map(([name, value, note]) => markup`<div><dt>${name}</dt><dd>${value}<small>${note}</small></dd></div>`)}</dl>
${errorPanel(record)}
</header>`;
}

function tiles({ record, images }: PageData): [string, string, string][] {
  const { durationMs } = record;
  const all = record.stages.flatMap((stage) => stage.steps).map(stateOf);
  const cached = all.filter((state) => state === 'cached').length;
  const worked = cached + all.filter((state) => state === 'made' || state === 'failed').length;
  const size = record.images[0]?.layers.reduce((sum, layer) => sum + layer.size, 0);
  const [contents] = images;
  return [
    ...(durationMs === undefined ? [] : ([['Time', shortTime(durationMs), 'from start to end']] as [string, string, string][])),
    ...(worked === 0
      ? []
      : ([['Cache', `${Math.round((100 * cached) / worked)}%`, `${cached} of ${worked} steps found`]] as [string, string, string][])),
    ...(size === undefined
      ? []
      : ([['Size', formatSize(size), `${record.images[0]?.layers.length} layers as stored`]] as [string, string, string][])),
    ...(contents === undefined || contents.bytes === 0
      ? []
      : ([['Efficiency', `${efficiency(contents).toFixed(contents.wastedBytes === 0 ? 0 : 1)}%`, wasteText(contents)]] as [
          string,
          string,
          string,
        ][])),
  ];
}

function wasteText({ wastedBytes, isWhole }: PageData['images'][number]): string {
  const waste = wastedBytes === 0 ? 'nothing wasted' : `${formatSize(wastedBytes)} wasted`;
  return isWhole ? waste : `${waste}, as far as is known`;
}

/** `29 November 2026, 05:43 UTC`. */
function whenText(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
}

function errorPanel(record: BuildRecord): Html | undefined {
  const { error } = record;
  if (error === undefined) return undefined;
  const failed = record.stages.flatMap((stage) => stage.steps).find(({ outcome }) => outcome === 'failed');
  return markup`<div class="error" role="alert">
<p class="message">${error.message}</p>
${error.hint !== undefined && markup`<p>${error.hint}</p>`}
${error.excerpt !== undefined && markup`<pre tabindex="0" aria-label="Place in the Dockerfile">${error.excerpt}</pre>`}
<p>${failed !== undefined && markup`<a href="#${anchorOf(failed)}">The step and its log</a> `}${error.code !== undefined && markup`<code>${error.code}</code>`}</p>
</div>`;
}
