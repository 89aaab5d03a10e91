import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { layoutGraph } from '../../src/page/layout-graph.ts';

const SIZES = { width: 100, height: 40, gapX: 50, gapY: 20 };
const edges = (...pairs: string[]) => pairs.map((pair) => ({ from: pair[0] ?? '', to: pair[1] ?? '' }));
const nodes = (names: string) => [...names].map((id) => ({ id }));

test('layoutGraph() puts readers to the right, sources beside their readers, and long edges around boxes', () => {
  const { boxes, ways, width, height } = layoutGraph({ nodes: nodes('abcdx'), edges: edges('ab', 'bc', 'ac', 'cd', 'xd') }, SIZES);
  const at = new Map(boxes.map((box) => [box.id, box]));
  assert.deepEqual(
    [...'abcdx'].map((id) => at.get(id)?.column),
    [0, 1, 2, 3, 2],
  );
  assert.deepEqual([width, height], [4 * 150 - 50, 100]);
  assert.deepEqual(
    ways.map((way) => way.length),
    [0, 0, 1, 0, 0],
  );
  const passing = ways[2]?.[0]?.y ?? 0;
  const b = at.get('b')?.y ?? 0;
  assert.ok(passing < b || passing > b + SIZES.height, 'a → c passes beside b');
});

test('layoutGraph() draws two chains without a crossing', () => {
  const { boxes } = layoutGraph({ nodes: nodes('apbqcr'), edges: edges('ab', 'pq', 'bc', 'qr') }, SIZES);
  const y = (id: string) => boxes.find((box) => box.id === id)?.y ?? Number.NaN;
  assert.equal(Math.sign(y('a') - y('p')), Math.sign(y('b') - y('q')));
  assert.equal(Math.sign(y('b') - y('q')), Math.sign(y('c') - y('r')));
});

test('layoutGraph() of any graph: no two boxes touch, edges go right, all lies inside', () => {
  const graph = fc.integer({ min: 0, max: 12 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      pairs: fc.array(fc.tuple(fc.nat(Math.max(0, count - 1)), fc.nat(Math.max(0, count - 1))), { maxLength: 30 }),
    }),
  );
  fc.assert(
    fc.property(graph, ({ count, pairs }) => {
      const shape = {
        nodes: Array.from({ length: count }, (_, i) => ({ id: `n${i}` })),
        edges: pairs.filter(([from, to]) => from < to && to < count).map(([from, to]) => ({ from: `n${from}`, to: `n${to}` })),
      };
      const { boxes, width, height } = layoutGraph(shape, SIZES);
      assert.equal(boxes.length, count);
      const column = new Map(boxes.map((box) => [box.id, box.column]));
      for (const { from, to } of shape.edges) assert.ok((column.get(from) ?? 0) < (column.get(to) ?? 0));
      for (const [i, a] of boxes.entries()) {
        assert.ok(a.x >= 0 && a.y >= 0 && a.x + SIZES.width <= width && a.y + SIZES.height <= height);
        for (const b of boxes.slice(i + 1)) assert.ok(a.column !== b.column || Math.abs(a.y - b.y) >= SIZES.height + SIZES.gapY);
      }
    }),
  );
});

test('layoutGraph() ends for a ring', () => {
  assert.equal(layoutGraph({ nodes: nodes('ab'), edges: edges('ab', 'ba') }, SIZES).boxes.length, 2);
});
