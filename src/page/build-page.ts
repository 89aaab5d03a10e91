/** One build as one HTML page: nothing is asked of anybody, and nothing but our own script may run. */
import { createHash } from 'node:crypto';
import { detailsSection } from './details-section.ts';
import { graphSection } from './graph-section.ts';
import { headerSection } from './header-section.ts';
import { type Html, markup, trusted } from './html.ts';
import { layersSection } from './layers-section.ts';
import type { PageData } from './page-data.ts';
import { PAGE_SCRIPT } from './page-script.ts';
import { PAGE_STYLE } from './page-style.ts';
import { buildTitle } from './step-words.ts';
import { stepsSection } from './steps-section.ts';
import { timelineOf } from './timeline.ts';
import { timelineSection } from './timeline-section.ts';

/** The text of the file. */
export function buildPage(data: PageData): string {
  const { record } = data;
  const timeline = timelineOf(record);
  const sections: readonly (readonly [string, string, Html | undefined])[] = [
    ['timeline', 'Timeline', timelineSection(timeline, record)],
    ['stages', 'Stages', graphSection(record, timeline)],
    ['steps', 'Steps', stepsSection(data)],
    ['layers', 'Layers', layersSection(data)],
    ['details', 'Details', detailsSection(data)],
  ];
  const shown = sections.filter(([, , body]) => body !== undefined);
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${buildTitle(record)}: ${record.state}</title>
<style>${trusted(PAGE_STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the build</a>
${headerSection(data)}
<nav aria-label="Parts of this page"><ul>${shown.map(([id, name]) => markup`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
<main id="main">
${shown.map(([id, name, body]) => markup`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${name}</h2>${body}</section>\n`)}
</main>
<footer><p>Made by tsbuild at <time datetime="${data.madeAt}">${data.madeAt.slice(0, 16).replace('T', ' ')} UTC</time>. This file asks nothing of the network.</p></footer>
<script>${trusted(PAGE_SCRIPT)}</script>
</body>
</html>
`.markup;
}

/** By their digests, so that no other script or style runs, whatever became of the text around them. */
function policy(): string {
  const digest = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'",
    `script-src ${digest(PAGE_SCRIPT)}`,
    `style-src ${digest(PAGE_STYLE)}`,
    ...["base-uri 'none'", "form-action 'none'"],
  ].join('; ');
}
