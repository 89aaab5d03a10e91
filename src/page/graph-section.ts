/** The stages as a drawing, with what each stands on and reads. */
import type { BuildRecord, RecordedStage } from '../records/build-record.ts';
import { type Html, markup } from './html.ts';
import { type Box, layoutGraph } from './layout-graph.ts';
import { type GraphNode, stageGraph } from './stage-graph.ts';
import { anchorOf, durationOf, shortTime, stateOf } from './step-words.ts';
import type { Timeline } from './timeline.ts';

const SIZES = { width: 190, height: 58, gapX: 64, gapY: 22 };
const MARGIN = 8;
/** More would be a drawing that nobody can read. */
const NODES_MAX = 120;
const TITLE_MAX = 22;

export function graphSection(record: BuildRecord, timeline: Timeline): Html | undefined {
  const graph = stageGraph(record);
  if (graph.nodes.length < 2) return undefined;
  if (graph.nodes.length > NODES_MAX) return markup`<p>${graph.nodes.length} stages, images and contexts: too many for a drawing.</p>`;
  const { boxes, ways, width, height } = layoutGraph(graph, SIZES);
  const placed = new Map(boxes.map((box) => [box.id, box]));
  const critical = criticalNodes(record, timeline);
  const lines = graph.edges.flatMap(({ from, to }, i) => {
    const [start, end] = [placed.get(from), placed.get(to)];
    return start === undefined || end === undefined ? [] : [edge([start, end], ways[i] ?? [], critical.has(from) && critical.has(to))];
  });
  const nodes = graph.nodes.flatMap((node) => {
    const box = placed.get(node.id);
    return box === undefined ? [] : [nodeDrawing(node, box, critical.has(node.id))];
  });
  const [w, h] = [width + 2 * MARGIN, height + 2 * MARGIN];
  return markup`<div class="graph" tabindex="0" role="group" aria-label="Stages and what they read">
<svg width="${w}" height="${h}" viewBox="${-MARGIN} ${-MARGIN} ${w} ${h}" role="img" aria-label="${describe(graph.edges.length, record)}">${lines}${nodes}</svg></div>`;
}

function describe(edges: number, { stages }: BuildRecord): string {
  return `${stages.length} stages with ${edges} dependencies: ${stages.map(({ name, base }) => `${name} from ${base.replace(/^\w+:/, '')}`).join(', ')}`.slice(
    0,
    600,
  );
}

/** Stages with a step that the build waited for. */
function criticalNodes({ stages }: BuildRecord, { critical }: Timeline): ReadonlySet<string> {
  const ids = new Set(critical.map(({ id }) => id));
  return new Set(stages.flatMap(({ steps }, i) => (steps.some(({ id }) => ids.has(id)) ? [`stage ${i}`] : [])));
}

/** Curves between columns, straight through them. */
function edge([from, to]: readonly [Box, Box], way: readonly { readonly x: number; readonly y: number }[], isCritical: boolean): Html {
  const start = { x: from.x + SIZES.width, y: from.y + SIZES.height / 2 };
  const end = { x: to.x, y: to.y + SIZES.height / 2 };
  let at = start;
  let path = `M${start.x} ${start.y}`;
  for (const { x, y } of [...way, end]) {
    const middle = (at.x + x) / 2;
    path += ` C${middle} ${at.y} ${middle} ${y} ${x} ${y}`;
    at = { x: x + SIZES.width, y };
    if (x !== end.x) path += ` H${at.x}`;
  }
  return markup`<path class="edge${isCritical && ' critical'}" d="${path}"/>`;
}

function nodeDrawing({ kind, title, stage }: GraphNode, { x, y }: Box, isCritical: boolean): Html {
  const short = title.length > TITLE_MAX ? `${title.slice(0, TITLE_MAX - 1)}…` : title;
  const box = markup`<title>${title}</title><rect x="${x}" y="${y}" width="${SIZES.width}" height="${SIZES.height}" rx="9"/>
<text class="name" x="${x + 16}" y="${y + 25}">${short}</text><text class="note" x="${x + 16}" y="${y + 43}">${stage === undefined ? kind : stageNote(stage)}</text>`;
  const classes = `node ${kind}${stage?.steps.some(({ outcome }) => outcome === 'failed') === true ? ' failed' : ''}${isCritical ? ' critical' : ''}`;
  const first = stage?.steps[0];
  return first === undefined
    ? markup`<g class="${classes}">${box}</g>`
    : markup`<a class="${classes}" href="#${anchorOf(first)}">${box}</a>`;
}

function stageNote({ steps }: RecordedStage): string {
  const states = steps.map(stateOf);
  const time = steps.reduce((sum, step) => sum + (durationOf(step) ?? 0), 0);
  if (states.every((state) => state === 'skipped')) return `${steps.length} steps, not begun`;
  const count = states.filter((state) => state === 'made').length;
  const work = count > 0 ? `${count} made` : states.includes('cached') ? 'all cached' : `${steps.length} steps`;
  return `${work} · ${shortTime(time)}`;
}
