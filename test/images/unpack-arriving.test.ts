import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { assembleImage } from '../../src/images/assemble-image.ts';
import { nameImage, type PullSession, resolveImage } from '../../src/images/pull-image.ts';
import { unpackImage } from '../../src/images/unpack-image.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openSnapshotter } from '../../src/snapshots/snapshotter.ts';
import type { Store } from '../../src/store/open-store.ts';
import { fsck } from '../store/_fsck.ts';
import { temporaryDirectory, temporaryStore } from '../store/_store.ts';
import { AMD64, recorder } from './_rootfs.ts';

const REFERENCE = parseReference('registry.example/app:1');
const LAYERS = 5;

interface Source {
  readonly store: Store;
  readonly descriptor: Descriptor;
  readonly layers: readonly Digest[];
}

/** Each layer has a file `f<n>`; the diffID of layer `wrong` is not its own. */
async function makeSource(t: TestContext, wrong?: number): Promise<Source> {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  const layers = [];
  for (let i = 0; i < LAYERS; i += 1) {
    mkdirSync(join(directory, `${i}`));
    writeFileSync(join(directory, `${i}`, `f${i}`), String(i));
    const tar = execFileSync('tar', ['-C', join(directory, `${i}`), '-c', `f${i}`]);
    const descriptor = { mediaType: MEDIA_TYPE.layerGzip, ...(await store.content.put(gzipSync(tar))) };
    layers.push({ descriptor, diffId: i === wrong ? digestOf('other') : digestOf(tar) });
  }
  const history = layers.map(() => ({ created_by: 'test' }));
  const descriptor = await assembleImage(store, { config: { ...AMD64, history }, layers });
  return { store, descriptor, layers: layers.map((layer) => layer.descriptor.digest) };
}

/** A registry that waits with each layer until the test lets it come. */
function registryOf({ store, descriptor, layers }: Source, mayCome: (layer: number) => Promise<void>): PullSession['registry'] {
  return {
    async resolve() {
      const manifestBytes = await store.content.read(descriptor.digest);
      return { manifest: JSON.parse(manifestBytes.toString()), manifestBytes, descriptor, indexes: [] };
    },
    async *fetchBlob(_reference, blob) {
      const layer = layers.indexOf(blob.digest);
      if (layer >= 0) await mayCome(layer);
      yield* store.content.stream(blob.digest);
    },
  };
}

async function load(t: TestContext, source: Source, mayCome: (layer: number, unpacked: () => number) => Promise<void>) {
  const store = await temporaryStore(t);
  const snapshots = openSnapshotter(store.root);
  t.after(() => snapshots[Symbol.dispose]());
  const { events, emit } = recorder();
  const unpacked = () => events.filter((event) => event.kind === 'transfer' && event.action === 'unpack' && event.state === 'done').length;
  const session = { store, registry: registryOf(source, (layer) => mayCome(layer, unpacked)), emit, signal: new AbortController().signal };
  const resolved = await resolveImage(session, REFERENCE, AMD64);
  return { store, snapshots, unpacked, image: resolved.image, named: nameImage(session, resolved, snapshots) };
}

async function until(condition: () => boolean): Promise<void> {
  for (const start = Date.now(); !condition(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    assert.ok(Date.now() - start < 10_000, 'nothing happens');
  }
}

test('nameImage() unpacks layers while later ones are on their way', async (t) => {
  const source = await makeSource(t);
  const { store, snapshots, image, named } = await load(t, source, async (layer, unpacked) => {
    // The last one comes when all others are unpacked: together they would wait for ever.
    if (layer === LAYERS - 1) await until(() => unpacked() === LAYERS - 1);
  });
  await named;
  const top = await unpackImage(
    { store, snapshots, emit: () => assert.fail('unpacked again'), signal: new AbortController().signal },
    image,
  );
  assert.ok(top !== undefined);
  using tree = snapshots.tree(top);
  assert.deepEqual([...tree.list('' as never)].map(String).sort(), ['f0', 'f1', 'f2', 'f3', 'f4']);
  assert.deepEqual(fsck(store.root), []);
});

test('nameImage() keeps the order of layers, in whatever order they come', async (t) => {
  const source = await makeSource(t);
  const { unpacked, named } = await load(t, source, async (layer) => {
    if (layer === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  });
  await named;
  assert.equal(unpacked(), LAYERS);
});

test('nameImage() names nothing where a layer is not what the config says, and ends what is on its way', async (t) => {
  const source = await makeSource(t, 1);
  const { store, snapshots, image, named } = await load(t, source, async () => {});
  await assert.rejects(named, { code: 'ERR_TSBUILD_DIGEST_MISMATCH', message: /diffID/ });
  assert.equal(store.images.get('registry.example/app:1'), undefined);
  const { chainIds } = await import('../../src/images/chain-id.ts');
  const names = chainIds(image.config.rootfs.diff_ids).map((digest) => digest.slice(7));
  assert.deepEqual(
    names.map((name) => snapshots.get(name) !== undefined),
    [true, false, false, false, false],
  );
});

test('nameImage() names nothing where a layer does not come, and keeps what was unpacked before', async (t) => {
  const source = await makeSource(t);
  const gone = new Error('gone');
  const { store, named } = await load(t, source, async (layer, unpacked) => {
    if (layer !== 3) return;
    await until(() => unpacked() === 3);
    throw gone;
  });
  await assert.rejects(named, (error) => error === gone);
  assert.equal(store.images.get('registry.example/app:1'), undefined);
  assert.ok(readFileSync(store.content.path(source.layers[0] as Digest)).length > 0);
});
