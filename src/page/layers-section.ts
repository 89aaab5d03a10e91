/** The layers of the result: their sizes, what is large in them, and what later layers hide. */
import type { RecordedImage, RecordedStep } from '../records/build-record.ts';
import { formatSize } from '../text/quantities.ts';
import { CHEVRON, type Html, markup } from './html.ts';
import { efficiency, type ImageContents, type LargeFile, type LayerFinding, type PageData } from './page-data.ts';
import { anchorOf } from './step-words.ts';

const UNITS = 1000;

export function layersSection(data: PageData): Html | undefined {
  const { images } = data.record;
  if (images.length === 0) return undefined;
  const steps = new Map(data.record.stages.flatMap((stage) => stage.steps.map((step) => [step.id, step] as const)));
  return markup`${images.map((image, position) => imageLayers(image, data.images[position], { steps, isOne: images.length === 1 }))}`;
}

interface Around {
  readonly steps: ReadonlyMap<string, RecordedStep>;
  readonly isOne: boolean;
}

function imageLayers(image: RecordedImage, contents: ImageContents | undefined, { steps, isOne }: Around): Html {
  // Bars are of what was counted, files, where all of it was; else of what is stored.
  const weights = image.layers.map(({ size }, i) => (contents?.isWhole === true ? readBytes(contents.layers[i]) : size));
  const largest = Math.max(1, ...weights);
  return markup`${!isOne && markup`<h3>${image.platform}</h3>`}
${contents !== undefined && summaryOf(contents)}
<ol class="layers">${image.layers.map((layer, i) => layerRow({ layer, number: i + 1, share: (weights[i] ?? 0) / largest, step: steps.get(layer.step) }, contents?.layers[i]))}</ol>
<p class="legend"><span><span class="key critical"></span>${contents?.isWhole === true ? 'bytes in files' : 'bytes as stored'}</span> <span><span class="key waste"></span>hidden by later layers</span><span class="left">sizes as stored</span></p>
${contents !== undefined && contents.wasted.length > 0 && wastedTable(contents)}`;
}

function summaryOf(contents: ImageContents): Html {
  const { bytes, wastedBytes, isWhole } = contents;
  const missing = contents.layers.filter(({ kind }) => kind === 'missing').length;
  return markup`<p class="lead">${
    wastedBytes === 0
      ? markup`No layer hides a file of another${bytes > 0 && `: all ${formatSize(bytes)} of files are seen`}.`
      : markup`Of ${formatSize(bytes)} in files, <b>${formatSize(wastedBytes)}</b> are hidden by later layers: an efficiency of <b>${efficiency(contents).toFixed(1)}%</b>.`
  }</p>
${missing > 0 && markup`<p class="note">${missing === 1 ? 'A layer is' : `${missing} layers are`} not in the store any more, so that what is in ${missing === 1 ? 'it' : 'them'} is not known.</p>`}
${missing === 0 && !isWhole && markup`<p class="note">Not every file was looked at: there is more than a page takes.</p>`}`;
}

interface Row {
  readonly layer: RecordedImage['layers'][number];
  readonly number: number;
  /** Of the largest. */
  readonly share: number;
  readonly step: RecordedStep | undefined;
}

function layerRow({ layer, number, share, step }: Row, finding: LayerFinding | undefined): Html {
  const width = Math.max(3, Math.round(UNITS * share));
  const wasted = finding?.kind === 'read' && finding.bytes > 0 ? Math.round((width * finding.wasted) / finding.bytes) : 0;
  return markup`<li><details class="layer"><summary>${CHEVRON}<span class="number">${number}</span><code class="instruction">${step?.text ?? layer.digest}</code>
<svg class="track" viewBox="0 0 ${UNITS} 10" preserveAspectRatio="none" aria-hidden="true"><rect x="0" y="0" width="${width}" height="10"/>${wasted > 0 && markup`<rect class="waste" x="${width - wasted}" y="0" width="${wasted}" height="10"/>`}</svg>
<span class="time">${formatSize(layer.size)}</span></summary>
<div class="inside"><p><code class="digest">${layer.digest}</code></p><p>${findingText(finding)}${step !== undefined && markup` <a href="#${anchorOf(step)}">The step that made it</a>`}</p>
${finding?.kind === 'read' && finding.largest.length > 0 && filesTable('Largest files', finding.largest)}
</div></details></li>`;
}

function readBytes(finding: LayerFinding | undefined): number {
  return finding?.kind === 'read' ? finding.bytes : 0;
}

function findingText(finding: LayerFinding | undefined): string {
  if (finding === undefined) return '';
  if (finding.kind === 'missing') return 'This layer is not in the store any more: what is in it is not known.';
  if (finding.kind === 'unread') return `What is in it is not known: ${finding.why}.`;
  if (finding.files === 0) return 'No files: directories, links or deletions alone.';
  const waste = finding.wasted === 0 ? 'none of it hidden by later layers' : `${formatSize(finding.wasted)} of it hidden by later layers`;
  return `${finding.files} ${finding.files === 1 ? 'file' : 'files'}, ${formatSize(finding.bytes)} before compression, ${waste}.`;
}

function filesTable(title: string, files: readonly LargeFile[]): Html {
  return markup`<table><caption>${title}</caption><thead><tr><th scope="col">File</th><th scope="col" class="size">Size</th></tr></thead>
<tbody>${files.map(({ path, bytes }) => markup`<tr><td><code>/${path}</code></td><td class="size">${formatSize(bytes)}</td></tr>`)}</tbody></table>`;
}

function wastedTable({ wasted }: ImageContents): Html {
  return markup`<div class="wide"><table class="wasted"><caption>Wasted bytes</caption><thead><tr><th scope="col">File</th><th scope="col">Layer</th><th scope="col">What became of it</th><th scope="col" class="size">Size</th></tr></thead>
<tbody>${wasted.map(({ path, bytes, layer, by, how }) => markup`<tr><td><code>/${path}</code></td><td>${layer + 1}</td><td>${how} in layer ${by + 1}</td><td class="size">${formatSize(bytes)}</td></tr>`)}</tbody></table></div>`;
}
