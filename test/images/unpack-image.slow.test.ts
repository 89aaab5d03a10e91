import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TsbuildError } from '../../src/errors.ts';
import { assembleImage } from '../../src/images/assemble-image.ts';
import { chainIds } from '../../src/images/chain-id.ts';
import { type Image, loadImage } from '../../src/images/image.ts';
import { unpackImage } from '../../src/images/unpack-image.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf, hexOf } from '../../src/oci/digest.ts';
import { openSnapshotter } from '../../src/snapshots/snapshotter.ts';
import { openStore, type Store } from '../../src/store/open-store.ts';
import { type ByteString, fromText } from '../../src/tree/byte-string.ts';
import { temporaryDirectory, temporaryStore } from '../store/_store.ts';
import { AMD64, importTar, makeRootfsTar, recorder } from './_rootfs.ts';

const signal = new AbortController().signal;
const code = (name: string) => (error: unknown) => error instanceof TsbuildError && error.code === `ERR_TSBUILD_${name}`;

/** Two layers: the rootfs, and once more the same bytes, which is a stack of its own. */
async function putImage(store: Store, tar: string): Promise<Image> {
  await importTar(store, tar);
  const stored = store.images.get('base');
  assert.ok(stored);
  const base = await loadImage(store, stored.descriptor, AMD64);
  const [descriptor] = base.manifest.layers;
  const [diffId] = base.config.rootfs.diff_ids;
  assert.ok(descriptor !== undefined && diffId !== undefined);
  const layer = { descriptor, diffId };
  const both = await assembleImage(store, { config: { ...AMD64, history: [{}, {}] }, layers: [layer, layer] });
  await store.images.set('both', both);
  return loadImage(store, both, AMD64);
}

test('unpackImage() makes one snapshot per layer, named by chainID, and the files are those of the tar', async (t) => {
  const store = await temporaryStore(t);
  using snapshots = openSnapshotter(store.root);
  const directory = temporaryDirectory(t);
  const image = await putImage(store, makeRootfsTar(directory));
  const { events, emit } = recorder();
  const session = { store, snapshots, emit, signal };
  const [top, again] = await Promise.all([unpackImage(session, image), unpackImage(session, image)]);
  assert.equal(top, again);
  const names = chainIds(image.config.rootfs.diff_ids).map(hexOf);
  assert.deepEqual([top, snapshots.names().sort()], [names[1], names.toSorted()]);
  assert.equal(events.filter((event) => event.kind === 'transfer' && event.state === 'done').length, 2, 'each layer once');
  using tree = snapshots.tree(top);
  const listed = Array.from(tree.list('' as ByteString), (name) => Buffer.from(name, 'latin1').toString('hex'));
  assert.deepEqual(
    listed,
    readdirSync(join(directory, 'tree'), { encoding: 'buffer' })
      .map((name) => name.toString('hex'))
      .sort(),
  );
  assert.equal(tree.stat(fromText('bin/sh'))?.linkTarget, 'tool');
  assert.equal(tree.stat(fromText('bin/tool'))?.size, 300_000);
  const fd = tree.open(fromText('etc/passwd'));
  assert.equal(readFileSync(fd, 'utf8'), 'root:x:0:0:root:/root:/bin/sh\n');
  const before = events.length;
  assert.equal(await unpackImage(session, image), top);
  assert.equal(events.length, before, 'nothing is read when it is there');
});

test('unpackImage() refuses a layer whose diffID differs from the config, and leaves no snapshot', async (t) => {
  const store = await temporaryStore(t);
  using snapshots = openSnapshotter(store.root);
  const tar = readFileSync(makeRootfsTar(temporaryDirectory(t)));
  const blob = await store.content.put(gzipSync(tar));
  const layers = [{ descriptor: { mediaType: MEDIA_TYPE.layerGzip, ...blob }, diffId: digestOf('something else') }];
  const image = await loadImage(store, await assembleImage(store, { config: { ...AMD64, history: [{}] }, layers }), AMD64);
  const session = { store, snapshots, emit: () => undefined, signal };
  await assert.rejects(unpackImage(session, image), code('DIGEST_MISMATCH'));
  writeFileSync(store.content.path(blob.digest), gzipSync(tar.subarray(0, 100_352)));
  await assert.rejects(unpackImage(session, image), (error) => code('DIGEST_MISMATCH')(error) || code('LAYER_INVALID')(error));
  assert.deepEqual(snapshots.names(), []);
  assert.deepEqual(readdirSync(snapshots.directory), []);
});

test('unpackImage() returns undefined for an image without layers', async (t) => {
  const store = await temporaryStore(t);
  using snapshots = openSnapshotter(store.root);
  const image = await loadImage(store, await assembleImage(store, { config: AMD64, layers: [] }), AMD64);
  assert.equal(await unpackImage({ store, snapshots, emit: () => undefined, signal }, image), undefined);
});

test('processes that unpack the same image at once all succeed, and one that is killed leaves nothing', async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  let image: Image;
  {
    await using store = await openStore(root);
    image = await putImage(store, makeRootfsTar(temporaryDirectory(t)));
  }
  const urlOf = (path: string) => JSON.stringify(new URL(`../../src/${path}.js`, import.meta.url).href);
  const script = `import { openStore } from ${urlOf('store/open-store')}; import { openSnapshotter } from ${urlOf('snapshots/snapshotter')};
    import { unpackImage } from ${urlOf('images/unpack-image')};
    await using store = await openStore(${JSON.stringify(root)});
    using snapshots = openSnapshotter(store.root);
    console.log('open');
    await unpackImage({ store, snapshots, emit() {}, signal: new AbortController().signal }, ${JSON.stringify(image)});`
    .replaceAll('await using', 'const')
    .replaceAll('using', 'const');
  const start = () => spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  for (let round = 0; round < 10; round++) {
    const child = start();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
    await new Promise((resolve) => setTimeout(resolve, round));
    child.kill('SIGKILL');
    await ended;
  }
  openSnapshotter(root)[Symbol.dispose]();
  const codes = await Promise.all(Array.from({ length: 4 }, () => new Promise((resolve) => start().once('exit', resolve))));
  assert.deepEqual(codes, [0, 0, 0, 0]);
  using snapshots = openSnapshotter(root);
  assert.equal(snapshots.names().length, 2);
  assert.equal(readdirSync(snapshots.directory).length, 2);
});
