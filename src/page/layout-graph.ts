/** Places the nodes of a graph without cycles in columns, what is read to the left of who reads it. Pure: sizes in, places out. */

export interface GraphShape {
  readonly nodes: readonly { readonly id: string }[];
  readonly edges: readonly Edge[];
}

export interface Edge {
  readonly from: string;
  readonly to: string;
}

export interface Box {
  readonly id: string;
  readonly column: number;
  readonly x: number;
  readonly y: number;
}

export interface LayoutSizes {
  readonly width: number;
  readonly height: number;
  readonly gapX: number;
  readonly gapY: number;
}

export interface Layout {
  readonly boxes: readonly Box[];
  /** In the order of the graph's edges: where each passes a column between its ends, from the left. No box is there. */
  readonly ways: readonly (readonly { readonly x: number; readonly y: number }[])[];
  readonly width: number;
  readonly height: number;
}

/** How often the order in columns is improved. */
const ROUNDS = 6;
/** Of the room that an edge has in a column that it passes. */
const LANE = 12;

/** Columns by the longest way from a source; rows by the mean place of neighbours, so that few edges cross; short columns in the middle. */
export function layoutGraph(graph: GraphShape, sizes: LayoutSizes): Layout {
  const columns = columnsOf(graph);
  const { items, links, lanes } = withLanes(graph, columns);
  const grid: string[][] = [];
  for (const [id, column] of items) {
    grid[column] ??= [];
    grid[column]?.push(id);
  }
  const filled = Array.from(grid, (ids) => ids ?? []);
  const sides = { before: neighbours(links, 'before'), after: neighbours(links, 'after') };
  for (let round = 0; round < ROUNDS; round++) {
    const isForward = round % 2 === 0;
    const order = filled.map((_, i) => (isForward ? i : filled.length - 1 - i));
    for (const i of order) sortColumn(filled, i, isForward ? sides.before : sides.after);
  }
  return placed(filled, { graph, lanes, sizes });
}

/** An edge that passes columns gets a lane in each: an item of the column, as a box is. */
function withLanes({ nodes, edges }: GraphShape, columns: ReadonlyMap<string, number>) {
  const items = new Map(nodes.map(({ id }) => [id, columns.get(id) ?? 0]));
  const links: Edge[] = [];
  const lanes = edges.map(({ from, to }, position) => {
    const own: string[] = [];
    for (let column = (columns.get(from) ?? 0) + 1; column < (columns.get(to) ?? 0); column++) {
      const id = `lane ${position} ${column}`;
      items.set(id, column);
      links.push({ from: own.at(-1) ?? from, to: id });
      own.push(id);
    }
    links.push({ from: own.at(-1) ?? from, to });
    return own;
  });
  return { items, links, lanes };
}

function placed(
  grid: readonly (readonly string[])[],
  { graph, lanes, sizes }: { readonly graph: GraphShape; readonly lanes: readonly (readonly string[])[]; readonly sizes: LayoutSizes },
): Layout {
  const isBox = new Set(graph.nodes.map(({ id }) => id));
  const heightOf = (id: string): number => (isBox.has(id) ? sizes.height : LANE);
  const heights = grid.map((ids) => ids.reduce((sum, id) => sum + heightOf(id) + sizes.gapY, -sizes.gapY));
  const height = Math.max(0, ...heights);
  const places = new Map<string, Box>();
  for (const [column, ids] of grid.entries()) {
    let y = (height - (heights[column] ?? 0)) / 2;
    for (const id of ids) {
      places.set(id, { id, column, x: column * (sizes.width + sizes.gapX), y });
      y += heightOf(id) + sizes.gapY;
    }
  }
  const ways = lanes.map((ids) => ids.flatMap((id) => places.get(id) ?? []).map(({ x, y }) => ({ x, y: y + LANE / 2 })));
  const boxes = graph.nodes.flatMap(({ id }) => places.get(id) ?? []);
  return { boxes, ways, width: Math.max(0, grid.length * (sizes.width + sizes.gapX) - sizes.gapX), height };
}

/** Sources stand right before the nearest of their readers. What stands in a cycle is left in the first column. */
function columnsOf({ nodes, edges }: GraphShape): ReadonlyMap<string, number> {
  const columns = new Map(nodes.map(({ id }) => [id, 0]));
  const waiting = new Map(nodes.map(({ id }) => [id, 0]));
  const readers = neighbours(edges, 'after');
  for (const { to } of edges) waiting.set(to, (waiting.get(to) ?? 0) + 1);
  const ready = nodes.filter(({ id }) => waiting.get(id) === 0).map(({ id }) => id);
  const sources = [...ready];
  for (let at = ready.shift(); at !== undefined; at = ready.shift()) {
    for (const reader of readers.get(at) ?? []) {
      columns.set(reader, Math.max(columns.get(reader) ?? 0, (columns.get(at) ?? 0) + 1));
      waiting.set(reader, (waiting.get(reader) ?? 1) - 1);
      if (waiting.get(reader) === 0) ready.push(reader);
    }
  }
  for (const source of sources) {
    const nearest = Math.min(...(readers.get(source) ?? []).map((reader) => columns.get(reader) ?? 1));
    if (Number.isFinite(nearest)) columns.set(source, Math.max(0, nearest - 1));
  }
  return columns;
}

function neighbours(edges: readonly Edge[], side: 'before' | 'after'): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const [key, value] = side === 'after' ? [from, to] : [to, from];
    const values = found.get(key) ?? [];
    values.push(value);
    found.set(key, values);
  }
  return found;
}

/** By the mean place of their neighbours; what has none stays. */
function sortColumn(columns: string[][], i: number, others: ReadonlyMap<string, readonly string[]>): void {
  const places = new Map(columns.flatMap((ids) => ids.map((id, row) => [id, (row + 0.5) / ids.length] as const)));
  const weight = (id: string): number => {
    const near = (others.get(id) ?? []).map((other) => places.get(other) ?? 0);
    return near.length === 0 ? (places.get(id) ?? 0) : near.reduce((sum, place) => sum + place, 0) / near.length;
  };
  const weights = new Map((columns[i] ?? []).map((id) => [id, weight(id)]));
  columns[i]?.sort((a, b) => (weights.get(a) ?? 0) - (weights.get(b) ?? 0));
}
