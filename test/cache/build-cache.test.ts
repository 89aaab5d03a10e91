import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { openBuildCache } from '../../src/cache/build-cache.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';

const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-cache-'));
after(() => rmSync(root, { recursive: true }));
const KEY = 'a'.repeat(64);
const step = { snapshot: 'b'.repeat(64) };
const layer = { diffId: digestOf('x'), descriptor: { mediaType: MEDIA_TYPE.layerGzip, digest: digestOf('y'), size: 5 } };

test('openBuildCache() gives back what was set', () => {
  openBuildCache(root).steps.set(KEY, step);
  openBuildCache(root).layers.set(KEY, layer);
  assert.deepEqual(openBuildCache(root).steps.get(KEY), step);
  assert.deepEqual(openBuildCache(root).layers.get(KEY), layer);
});

test('openBuildCache() takes a record of any other shape for none', () => {
  const cache = openBuildCache(root);
  for (const bad of ['', '{', 'null', '[]', '5', '{}', { snapshot: 5 }, { snapshot: '../../x' }, { snapshot: `${'b'.repeat(64)}\n` }]) {
    writeFileSync(path.join(root, 'cache/steps', KEY), typeof bad === 'string' ? bad : JSON.stringify(bad));
    assert.equal(cache.steps.get(KEY), undefined, JSON.stringify(bad));
  }
  const { descriptor } = layer;
  for (const bad of [
    { ...layer, diffId: '../x' },
    { diffId: layer.diffId },
    { ...layer, descriptor: null },
    { ...layer, descriptor: { ...descriptor, digest: 'sha256:../x' } },
    { ...layer, descriptor: { ...descriptor, size: '5' } },
    { ...layer, descriptor: { ...descriptor, mediaType: undefined } },
  ]) {
    writeFileSync(path.join(root, 'cache/layers', KEY), JSON.stringify(bad));
    assert.equal(cache.layers.get(KEY), undefined, JSON.stringify(bad));
  }
});
