import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLayerPacking } from '../../../src/builder/execute/layer-packing.ts';
import type { LayerRecord } from '../../../src/cache/build-cache.ts';

const RECORD = {
  diffId: `sha256:${'1'.repeat(64)}`,
  descriptor: { mediaType: 'a/b', digest: `sha256:${'2'.repeat(64)}`, size: 1 },
} as LayerRecord;

test('a layer is packed once for all who ask at the same time, two layers at once', async () => {
  await using packing = openLayerPacking();
  let [made, atOnce, most] = [0, 0, 0];
  const make = async (): Promise<LayerRecord> => {
    made++;
    most = Math.max(most, ++atOnce);
    await new Promise((resolve) => setTimeout(resolve, 5));
    atOnce--;
    return RECORD;
  };
  await Promise.all(['a', 'a', 'b', 'c', 'a', 'd'].map((key) => packing.once(key, make)));
  assert.deepEqual([made, most], [4, 2]);
});

test('who waited for one that was interrupted packs the layer itself', async () => {
  await using packing = openLayerPacking();
  const interrupted = packing.once('a', async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    throw new Error('interrupted');
  });
  await new Promise((resolve) => setImmediate(resolve));
  const later = packing.once('a', async () => RECORD);
  await assert.rejects(interrupted, /interrupted/);
  assert.equal(await later, RECORD);
});
