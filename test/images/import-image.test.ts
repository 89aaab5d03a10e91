import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { TsbuildError } from '../../src/errors.ts';
import { loadImage } from '../../src/images/image.ts';
import { importRootfs } from '../../src/images/import-image.ts';
import { fsck } from '../store/_fsck.ts';
import { temporaryDirectory, temporaryStore } from '../store/_store.ts';
import { AMD64, importTar, makeRootfsTar, recorder } from './_rootfs.ts';

const signal = new AbortController().signal;

test('importRootfs() keeps the bytes of the tar as the one layer, plain or compressed, and the digest is the same', async (t) => {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  const tar = makeRootfsTar(directory);
  execFileSync('gzip', ['-k', '-9', tar]);
  const { events, emit } = recorder();
  const digests = [];
  for (const file of [tar, `${tar}.gz`]) {
    digests.push((await importRootfs({ store, emit, signal }, { input: createReadStream(file), name: 'base', platform: AMD64 })).digest);
  }
  assert.equal(digests[0], digests[1]);
  const stored = store.images.get('base');
  assert.ok(stored);
  const { manifest, config } = await loadImage(store, stored.descriptor, AMD64);
  const [layer] = manifest.layers;
  assert.ok(layer);
  const bytes = readFileSync(tar);
  assert.ok(gunzipSync(await store.content.read(layer.digest)).equals(bytes));
  assert.deepEqual(config.rootfs.diff_ids, [`sha256:${createHash('sha256').update(bytes).digest('hex')}`]);
  assert.deepEqual(config.history, [{ created_by: 'tsbuild import' }]);
  assert.match(config.config?.Env?.[0] ?? '', /^PATH=\/usr\/local\/sbin:/);
  assert.equal(events.at(-1)?.kind, 'image');
  assert.deepEqual(fsck(store.root), []);
});

test('importRootfs() refuses what could not be unpacked, and changes no reference', async (t) => {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  const tar = readFileSync(makeRootfsTar(directory));
  await importTar(store, join(directory, 'rootfs.tar'));
  const before = store.images.get('base');
  const evil = join(directory, 'evil.tar');
  writeFileSync(join(directory, 'x'), '');
  execFileSync('tar', ['-C', directory, '-P', '--transform=s,x,../../x,', '-cf', evil, 'x']);
  const flipped = Buffer.from(tar);
  flipped.writeUInt8(flipped.readUInt8(20) ^ 1, 20);
  const inputs = [
    tar.subarray(0, 5000),
    Buffer.from('no tar at all'.repeat(100)),
    readFileSync(evil),
    gzipSync(gzipSync(tar)),
    gzipSync(tar).subarray(0, -100),
    flipped,
  ];
  for (const [i, input] of inputs.entries()) {
    const importing = importRootfs(
      { store, emit: () => undefined, signal },
      { input: Readable.from([input]), name: 'base', platform: AMD64 },
    );
    await assert.rejects(importing, (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_LAYER_INVALID', `input ${i}`);
  }
  assert.deepEqual(store.images.get('base'), before);
  assert.equal(store.content.list().length, 3);
});

test('importRootfs() passes an error of its input on, and stops at the signal', async (t) => {
  const store = await temporaryStore(t);
  const tar = readFileSync(makeRootfsTar(temporaryDirectory(t)));
  async function* broken(): AsyncGenerator<Buffer> {
    yield tar.subarray(0, 1000);
    throw new Error('the cable is out');
  }
  const rootfs = { name: 'base', platform: AMD64 };
  await assert.rejects(importRootfs({ store, emit: () => undefined, signal }, { ...rootfs, input: broken() }), /the cable is out/);
  const aborted = { store, emit: () => undefined, signal: AbortSignal.abort(new Error('enough')) };
  await assert.rejects(importRootfs(aborted, { ...rootfs, input: Readable.from([tar]) }), /enough/);
  assert.deepEqual(store.content.list(), []);
});

test('importRootfs() says NO_SPACE on a full disk, and gives the space back', (t) => {
  const directory = temporaryDirectory(t);
  const urlOf = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `import { readdirSync } from 'node:fs'; import { randomBytes } from 'node:crypto'; import { execFileSync } from 'node:child_process';
    import { writeFileSync } from 'node:fs'; import { openStore } from ${urlOf('../../src/store/open-store.js')};
    import { importTar } from ${urlOf('./_rootfs.js')};
    const [tar, root] = process.argv.slice(-2);
    const store = await openStore(root);
    let code;
    try { await importTar(store, tar); } catch (error) { code = error.code; }
    const left = readdirSync(root + '/ingest').flatMap((name) => readdirSync(root + '/ingest/' + name));
    console.log(JSON.stringify({ code, left, blobs: store.content.list().length }));`;
  const tar = join(directory, 'big.tar');
  writeFileSync(join(directory, 'big'), randomBytes(20 << 20));
  execFileSync('tar', ['-C', directory, '-cf', tar, 'big']);
  const mount = join(directory, 'mount');
  mkdirSync(mount);
  const command = 'mount -t tmpfs -o size=8m,mode=0700 none "$1" && exec "$2" --input-type=module -e "$3" "$4" "$1/root"';
  const output = execFileSync('unshare', ['-m', 'sh', '-c', command, 'sh', mount, process.execPath, script, tar], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(output), { code: 'ERR_TSBUILD_NO_SPACE', left: [], blobs: 0 });
});
