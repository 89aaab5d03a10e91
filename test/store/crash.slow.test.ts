/** Faults from outside: killed writers, many writers, a full disk. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStore } from '../../src/store/open-store.ts';
import { fsck } from './_fsck.ts';
import { putImage, temporaryDirectory } from './_store.ts';

const openStoreUrl = new URL('../../src/store/open-store.js', import.meta.url).href;
const helperUrl = new URL('./_store.js', import.meta.url).href;

/** Writes images without end, or `count` of them; the bytes follow from `seed`, so that writers may meet. */
const WRITER = `
  import { createHash } from 'node:crypto';
  import { openStore } from ${JSON.stringify(openStoreUrl)};
  import { putImage } from ${JSON.stringify(helperUrl)};
  const [root, seed, count] = process.argv.slice(-3);
  const store = await openStore(root);
  console.log('open');
  for (let i = 0; i < Number(count); i++) {
    const bytes = (name) => Buffer.alloc(200_000, createHash('sha256').update(seed + name + i).digest());
    await store.images.set('moving', await putImage(store, [bytes('a'), bytes('b'), Buffer.from('same')]));
    if (i % 5 === 0) await store.images.set('n' + i, await putImage(store, [bytes('c')]));
  }
  await store[Symbol.asyncDispose]();`;

const startWriter = (root: string, seed: string, count: number) =>
  spawn(process.execPath, ['--input-type=module', '-e', WRITER, root, seed, String(count)], { stdio: ['ignore', 'pipe', 'inherit'] });

test('a writer that is killed at any moment leaves a sound store, the old image, and nothing behind after the next open', async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  let old = '';
  {
    await using store = await openStore(root);
    const descriptor = await putImage(store, [Buffer.from('old')]);
    await store.images.set('old', descriptor);
    old = descriptor.digest;
  }
  for (let round = 0; round < 50; round++) {
    const child = startWriter(root, String(round), 1e9);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    await using store = await openStore(root);
    assert.deepEqual(fsck(root), [], `round ${round}`);
    assert.deepEqual(readdirSync(join(root, 'ingest')), []);
    assert.equal(store.images.get('old')?.descriptor.digest, old);
    if (round % 10 === 9) assert.ok((await store.collect([])) !== undefined);
  }
  assert.deepEqual(fsck(root), []);
});

test('eight processes put the same blobs and move the same name at once', async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  const writers = Array.from({ length: 8 }, () => startWriter(root, 'same', 20));
  const codes = await Promise.all(writers.map((child) => new Promise((resolve) => child.once('exit', resolve))));
  assert.deepEqual(codes, Array(8).fill(0));
  await using store = await openStore(root);
  assert.deepEqual(fsck(root), []);
  assert.equal(store.images.list().length, 5);
  assert.deepEqual(readdirSync(join(root, 'ingest')), []);
});

/** Runs in a private mount namespace: a file system of its own, small enough to fill. */
const FILLER = `
  import { readdirSync, statfsSync } from 'node:fs';
  import { openStore } from ${JSON.stringify(openStoreUrl)};
  import { putImage } from ${JSON.stringify(helperUrl)};
  const root = process.argv.at(-1);
  const store = await openStore(root);
  await store.images.set('old', await putImage(store, [Buffer.from('old')]));
  const before = statfsSync(root);
  const ingest = await store.content.ingest({ size: 64 << 20 });
  let error;
  try {
    for (;;) await ingest.write(Buffer.alloc(1 << 18, 1));
  } catch (caught) {
    error = caught;
  }
  await ingest.abort();
  const after = statfsSync(root);
  const image = await store.content.read(store.images.get('old').descriptor.digest);
  console.log(JSON.stringify({ code: error.code, message: error.message, leaked: before.bavail - after.bavail, old: image.length > 0 }));`;

for (const [what, mountOptions, message] of [
  ['blocks', 'size=4m', /disk is full \(need \d+ bytes, free \d+ bytes\)/],
  ['inodes', 'size=4m,nr_inodes=40', /no inode is left/],
] as const) {
  test(`a disk without ${what} is NO_SPACE that says where, and gives the space back`, (t) => {
    const directory = temporaryDirectory(t);
    const script =
      what === 'blocks'
        ? FILLER
        : FILLER.replace(
            'for (;;) await ingest.write(Buffer.alloc(1 << 18, 1));',
            'for (let i = 0; ; i++) await store.content.put(Buffer.from(String(i)));',
          );
    const command = `mount -t tmpfs -o ${mountOptions},mode=0700 none "$1" && exec "$2" --input-type=module -e "$3" "$1/root"`;
    const output = execFileSync('unshare', ['-m', 'sh', '-c', command, 'sh', directory, process.execPath, script], { encoding: 'utf8' });
    const result = JSON.parse(output);
    assert.equal(result.code, 'ERR_TSBUILD_NO_SPACE');
    assert.match(result.message, message);
    assert.ok(result.message.includes(join(directory, 'root')));
    assert.ok(result.old);
    if (what === 'blocks') assert.ok(result.leaked <= 2, `${result.leaked} blocks kept`);
  });
}
