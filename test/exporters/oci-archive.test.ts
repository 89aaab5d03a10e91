import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { saveImages } from '../../src/exporters/oci-archive.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { StoredImage } from '../../src/store/image-store.ts';
import type { Store } from '../../src/store/open-store.ts';
import { importTar, makeRootfsTar, recorder } from '../images/_rootfs.ts';
import { putImage, temporaryDirectory, temporaryStore } from '../store/_store.ts';

const signal = new AbortController().signal;
const emit = (): void => undefined;
const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });

function stored(store: Store, name: string): StoredImage {
  return store.images.get(name) ?? assert.fail(`${name} is not in the store`);
}

test('saveImages() writes an archive that skopeo copies and inspects as the same image', async (t) => {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  const descriptor = await importTar(store, makeRootfsTar(directory), 'app:1');
  const path = join(directory, 'app.tar');
  const { events, emit } = recorder();
  await saveImages({ store, emit, signal }, [stored(store, 'app:1')], { path });
  assert.deepEqual(
    events.map((event) => event.kind === 'image' && event.action),
    ['written'],
  );
  assert.equal(digestOf(run('skopeo', 'inspect', '--raw', `oci-archive:${path}`)), descriptor.digest);
  assert.equal(digestOf(run('skopeo', 'inspect', '--raw', `oci-archive:${path}:1`)), descriptor.digest);
  run('skopeo', 'copy', '--preserve-digests', `oci-archive:${path}`, `dir:${directory}/dir`);
  assert.equal(digestOf(readFileSync(join(directory, 'dir', 'manifest.json'))), descriptor.digest);
  assert.equal(JSON.parse(run('skopeo', 'inspect', '--config', `oci-archive:${path}`)).architecture, 'amd64');
});

test('saveImages() writes what the readers of docker save archives take', async (t) => {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  await importTar(store, makeRootfsTar(directory), 'app:1');
  await store.images.set('registry.test/app:2', stored(store, 'app:1').descriptor);
  const path = join(directory, 'app.tar');
  await saveImages({ store, emit, signal }, [stored(store, 'registry.test/app:2'), stored(store, 'app:1')], { path });
  const manifest = JSON.parse(run('tar', '-xOf', path, 'manifest.json'));
  assert.equal(manifest.length, 1);
  assert.deepEqual(manifest[0].RepoTags, ['app:1', 'registry.test/app:2']);
  const config = run('tar', '-xOf', path, manifest[0].Config);
  assert.equal(manifest[0].Config, `blobs/sha256/${createHash('sha256').update(config).digest('hex')}`);
  run('skopeo', 'copy', `docker-archive:${path}:app:1`, `dir:${directory}/dir`);
  const [layer] = JSON.parse(readFileSync(join(directory, 'dir', 'manifest.json'), 'utf8')).layers;
  assert.ok(layer.size > 0);
});

test('saveImages() writes a layout that umoci unpacks to the tree that was imported', async (t) => {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  await importTar(store, makeRootfsTar(directory), 'app:1');
  const path = join(directory, 'app.tar');
  await saveImages({ store, emit, signal }, [stored(store, 'app:1')], { path });
  mkdirSync(join(directory, 'layout'));
  run('tar', '-C', join(directory, 'layout'), '-xf', path);
  run('umoci', 'unpack', '--image', `${directory}/layout:1`, `${directory}/bundle`);
  const listing = (tree: string) =>
    execFileSync('sh', ['-c', 'find . -printf "%P %y %m %s %l\\n" | LC_ALL=C sort'], { cwd: tree, encoding: 'latin1' });
  assert.equal(listing(join(directory, 'bundle/rootfs')).replace(/^ d .*$/m, ''), listing(join(directory, 'tree')).replace(/^ d .*$/m, ''));
  assert.deepEqual(JSON.parse(run('umoci', 'stat', '--json', '--image', `${directory}/layout:1`)).history.length, 1);
});

test('saveImages() writes the same bytes each time, in any order of images, to a file and to a stream', async (t) => {
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  for (const name of ['a', 'b', 'c:2'])
    await store.images.set(name, await putImage(store, [Buffer.from(`layer of ${name}`), Buffer.alloc(0)]));
  const images = ['a', 'b', 'c:2'].map((name) => stored(store, name));
  await saveImages({ store, emit, signal }, images, { path: join(directory, '1.tar') });
  process.env.TZ = 'Asia/Tokyo';
  const old = process.umask(0o077);
  await saveImages({ store, emit, signal }, images.toReversed(), { path: join(directory, '2.tar') });
  process.umask(old);
  await saveImages({ store, emit, signal }, images, { stream: createWriteStream(join(directory, '3.tar')) });
  const digests = ['1', '2', '3'].map((name) => digestOf(readFileSync(join(directory, `${name}.tar`))));
  assert.equal(new Set(digests).size, 1);
  const index = JSON.parse(run('tar', '-xOf', join(directory, '1.tar'), 'index.json'));
  assert.deepEqual(
    index.manifests.map((item: { annotations: Record<string, string> }) => item.annotations['org.opencontainers.image.ref.name']),
    ['a:latest', 'b:latest', '2'],
  );
  for (const reader of [
    ['tar', '-tvf'],
    ['python3', '-m', 'tarfile', '-l'],
  ]) {
    assert.match(
      run(reader[0] ?? '', ...reader.slice(1), join(directory, '1.tar')),
      /oci-layout.*index\.json.*manifest\.json.*blobs\/sha256/s,
    );
  }
});

test('saveImages() waits for a slow reader without gathering listeners', async (t) => {
  const store = await temporaryStore(t);
  await store.images.set('app', await putImage(store, [Buffer.alloc(30_000_000, 7)]));
  const warnings: Error[] = [];
  const listen = (warning: Error): number => warnings.push(warning);
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  let bytes = 0;
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      setTimeout(done, 1);
    },
  });
  await saveImages({ store, emit, signal }, [stored(store, 'app')], { stream: slow });
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(bytes > 30_000_000);
  assert.deepEqual(warnings, []);
});

test('saveImages() leaves no file and no open descriptor where a blob has rotted, is missing, or the caller gives up', async (t) => {
  const store = await temporaryStore(t);
  const directory = join(temporaryDirectory(t), 'out');
  mkdirSync(directory);
  const path = join(directory, 'app.tar');
  const layer = Buffer.alloc(5_000_000, 1);
  const image = await putImage(store, [layer]);
  await store.images.set('app', image);
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  writeFileSync(store.content.path(digestOf(layer)), Buffer.alloc(5_000_000, 2));
  const rotten = saveImages({ store, emit, signal }, [stored(store, 'app')], { path });
  await assert.rejects(rotten, (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_DIGEST_MISMATCH');
  const missing = saveImages({ store, emit, signal }, [stored(store, 'app')], { path });
  await assert.rejects(missing, (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_STORE_INVALID');
  await store.content.put(layer);
  const controller = new AbortController();
  const slow = new Writable({
    write(_chunk, _encoding, done) {
      controller.abort(new Error('enough'));
      setTimeout(done, 10);
    },
  });
  await assert.rejects(saveImages({ store, emit, signal: controller.signal }, [stored(store, 'app')], { stream: slow }), /enough|abort/);
  const gone = new PassThrough();
  gone.once('readable', () => gone.destroy(new Error('the reader left')));
  await assert.rejects(saveImages({ store, emit, signal }, [stored(store, 'app')], { stream: gone }), /the reader left/);
  await assert.rejects(saveImages({ store, emit, signal }, [stored(store, 'app')], { path: join(directory, 'none', 'x') }), /ENOENT/);
  assert.deepEqual(readdirSync(directory), []);
  assert.equal(open(), before);
  await saveImages({ store, emit, signal }, [stored(store, 'app')], { path });
  assert.ok(existsSync(path));
});
