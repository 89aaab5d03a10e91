import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { openBuildCache } from '../../src/cache/build-cache.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { sealedJson } from '../../src/sealed-json.ts';

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

test('openBuildCache() takes a record of another key for none', () => {
  const cache = openBuildCache(root);
  cache.steps.set(KEY, step);
  const other = 'c'.repeat(64);
  copyFileSync(path.join(root, 'cache/steps', KEY), path.join(root, 'cache/steps', other));
  assert.equal(cache.steps.get(other), undefined);
});

test('openBuildCache() takes a record of any other shape for none', () => {
  const cache = openBuildCache(root);
  for (const bad of ['', '{', 'null', '[]', '5', '{}', { snapshot: 5 }, { snapshot: '../../x' }, { snapshot: `${'b'.repeat(64)}\n` }]) {
    writeFileSync(path.join(root, 'cache/steps', KEY), typeof bad === 'string' ? bad : sealedJson({ key: KEY, value: bad }));
    assert.equal(cache.steps.get(KEY), undefined, JSON.stringify(bad));
  }
  const { descriptor } = layer;
  for (const bad of [
    { ...layer, diffId: '../x' },
    { ...layer, diffId: [layer.diffId] },
    { diffId: layer.diffId },
    { ...layer, descriptor: null },
    { ...layer, descriptor: { ...descriptor, digest: [descriptor.digest] } },
    { ...layer, descriptor: { ...descriptor, digest: 'sha256:../x' } },
    { ...layer, descriptor: { ...descriptor, size: '5' } },
    { ...layer, descriptor: { ...descriptor, mediaType: undefined } },
  ]) {
    writeFileSync(path.join(root, 'cache/layers', KEY), sealedJson({ key: KEY, value: bad }));
    assert.equal(cache.layers.get(KEY), undefined, JSON.stringify(bad));
  }
});
