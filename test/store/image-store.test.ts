import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { hexOf } from '../../src/oci/digest.ts';
import { openStore } from '../../src/store/open-store.ts';
import { fsck } from './_fsck.ts';
import { putImage, temporaryDirectory, temporaryStore } from './_store.ts';

const code = (name: string) => (error: unknown) => error instanceof TsbuildError && error.code === `ERR_TSBUILD_${name}`;

test('set() and get() take a name in any form', async (t) => {
  const store = await temporaryStore(t);
  const descriptor = await putImage(store, [Buffer.from('a')]);
  await store.images.set('debian', descriptor);
  for (const name of ['debian', 'debian:latest', 'docker.io/debian', 'docker.io/library/debian:latest', 'index.docker.io/library/debian']) {
    assert.deepEqual(store.images.get(name)?.descriptor, descriptor, name);
  }
  assert.equal(store.images.get('debian')?.name, 'docker.io/library/debian:latest');
  assert.equal(store.images.get('debian:12'), undefined);
  assert.throws(() => store.images.get('Debian'), code('REFERENCE_INVALID'));
  await assert.rejects(store.images.set('../etc/passwd', descriptor), code('REFERENCE_INVALID'));
});

test('set() stores the longest names there are, and remove() takes them away', async (t) => {
  const store = await temporaryStore(t);
  const descriptor = await putImage(store, [Buffer.from('a')]);
  const names = [`r.test:5000/${'a/'.repeat(115)}end:${'t'.repeat(128)}`, `[::1]:5000/x@${descriptor.digest}`, 'a:B', 'a:b'];
  for (const name of names) await store.images.set(name, descriptor);
  assert.deepEqual(store.images.list().length, 4);
  for (const name of names) {
    assert.deepEqual(store.images.get(name)?.descriptor, descriptor);
    assert.equal(store.images.remove(name), true);
    assert.equal(store.images.remove(name), false);
  }
  assert.deepEqual(store.images.list(), []);
});

test('set() refuses to point to what is not in the store', async (t) => {
  const store = await temporaryStore(t);
  const descriptor = await putImage(store, [Buffer.from('a')]);
  store.content.remove(descriptor.digest);
  await assert.rejects(store.images.set('a', descriptor), /not in the store/);
  assert.equal(store.images.get('a'), undefined);
});

test('list() sorts the newest first, and pointing a name to the same image keeps its time', async (t) => {
  let now = 0;
  await using store = await openStore(join(temporaryDirectory(t), 'root'), { now: () => (now += 1000) });
  const [first, second] = [await putImage(store, [Buffer.from('1')]), await putImage(store, [Buffer.from('2')])];
  await store.images.set('a', first);
  await store.images.set('b', first);
  await store.images.set('c', first);
  await store.images.set('a', second);
  await store.images.set('b', first);
  assert.deepEqual(
    store.images.list().map(({ name, createdAt }) => `${name} ${createdAt}`),
    ['a 1970-01-01T00:00:04.000Z', 'c 1970-01-01T00:00:03.000Z', 'b 1970-01-01T00:00:02.000Z'].map((line) =>
      line.replace(/^(.) /, 'docker.io/library/$1:latest '),
    ),
  );
});

test('resolve() finds an image by name, manifest digest and image ID, and refuses what fits two', async (t) => {
  const store = await temporaryStore(t);
  const [first, second] = [await putImage(store, [Buffer.from('1')]), await putImage(store, [Buffer.from('2')])];
  await store.images.set('one', first);
  await store.images.set('uno', first);
  await store.images.set('two', second);
  const imageId = JSON.parse((await store.content.read(first.digest)).toString()).config.digest;
  for (const text of ['one', first.digest, hexOf(first.digest).slice(0, 20), imageId, imageId.slice(7, 19), imageId.slice(0, 19)]) {
    assert.deepEqual(store.images.resolve(text)?.descriptor, first, text);
  }
  assert.equal(store.images.resolve('three'), undefined);
  assert.equal(store.images.resolve('sha256:'), undefined);
  assert.equal(store.images.resolve('0'.repeat(64)), undefined);
  for (let i = 3; ; i++) {
    const descriptor = await putImage(store, [Buffer.from(String(i))]);
    await store.images.set(`n${i}`, descriptor);
    const prefixes = store.images.list().map(({ descriptor: { digest } }) => digest.slice(7, 9));
    const twice = prefixes.find(
      (prefix, at) => prefixes.indexOf(prefix) !== at && store.images.list()[at]?.descriptor.digest !== first.digest,
    );
    if (twice === undefined) continue;
    assert.throws(() => store.images.resolve(twice), code('REFERENCE_INVALID'));
    break;
  }
});

test('resolve() prefers a name that looks like hex digits', async (t) => {
  const store = await temporaryStore(t);
  const [first, second] = [await putImage(store, [Buffer.from('1')]), await putImage(store, [Buffer.from('2')])];
  await store.images.set('first', first);
  await store.images.set(hexOf(first.digest).slice(0, 12), second);
  assert.deepEqual(store.images.resolve(hexOf(first.digest).slice(0, 12))?.descriptor, second);
});

test('a spoiled reference file is an error that names it, not a wrong image', async (t) => {
  const store = await temporaryStore(t);
  await store.images.set('a', await putImage(store, [Buffer.from('a')]));
  await store.images.set('b', await putImage(store, [Buffer.from('b')]));
  const [file = '', other = ''] = readdirSync(join(store.root, 'refs')).sort();
  const good = readFileSync(join(store.root, 'refs', file), 'utf8');
  for (const text of [
    '',
    '{',
    '[]',
    '{"name":"a"}',
    '{"name":"a","createdAt":"x","descriptor":{"mediaType":"m","digest":"sha256:../../x","size":1}}',
    good.replace('"name"', '"nane"'),
    good.replace(/T\d/, 'T9'),
    readFileSync(join(store.root, 'refs', other), 'utf8'),
  ]) {
    writeFileSync(join(store.root, 'refs', file), text);
    assert.throws(
      () => store.images.get('a'),
      (error) => code('STORE_INVALID')(error) && String(error).includes(file),
    );
  }
  // A build that makes the image again, or one of its name, heals it.
  const next = await putImage(store, [Buffer.from('next')]);
  await store.images.set('a', next);
  assert.deepEqual(store.images.get('a')?.descriptor, next);
});

test('origins remember the latest eight places of a blob', async (t) => {
  const store = await temporaryStore(t);
  const { digest } = await store.content.put(Buffer.from('x'));
  assert.deepEqual(store.origins.get(digest), []);
  for (let i = 0; i < 10; i++) await store.origins.add(digest, { registry: 'r.test', repository: `a${i}` });
  await store.origins.add(digest, { registry: 'r.test', repository: 'a5' });
  assert.deepEqual(
    store.origins.get(digest).map(({ repository }) => repository),
    ['a5', 'a9', 'a8', 'a7', 'a6', 'a4', 'a3', 'a2'],
  );
  writeFileSync(join(store.root, 'origins', `${hexOf(digest)}.json`), 'torn');
  assert.deepEqual(store.origins.get(digest), []);
  assert.deepEqual(fsck(store.root), []);
});
