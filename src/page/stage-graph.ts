/** The stages of a build and what they stand on, as a graph. */
import type { BuildRecord, RecordedStage } from '../records/build-record.ts';

export interface GraphNode {
  readonly id: string;
  readonly kind: 'stage' | 'image' | 'context';
  readonly title: string;
  readonly stage: RecordedStage | undefined;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  /** From what is read to who reads it; each pair once. */
  readonly edges: readonly { readonly from: string; readonly to: string }[];
}

export function stageGraph({ stages }: BuildRecord): Graph {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, { from: string; to: string }>();
  const stageOf = new Map(stages.flatMap((stage, i) => stage.steps.map(({ id }) => [id, `stage ${i}`] as const)));
  for (const [i, stage] of stages.entries()) nodes.set(`stage ${i}`, { id: `stage ${i}`, kind: 'stage', title: stage.name, stage });
  for (const [i, stage] of stages.entries()) {
    const to = `stage ${i}`;
    for (const input of stage.steps.flatMap(({ inputs }) => inputs)) {
      const from = stageOf.get(input) ?? sourceNode(nodes, input);
      if (from !== to) edges.set(`${from}\n${to}`, { from, to });
    }
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

function sourceNode(nodes: Map<string, GraphNode>, input: string): string {
  const isContext = input.startsWith('context:');
  const title = isContext ? `context ${input.slice('context:'.length)}`.trim() : input.replace(/^image:/, '');
  if (!nodes.has(input)) nodes.set(input, { id: input, kind: isContext ? 'context' : 'image', title, stage: undefined });
  return input;
}
