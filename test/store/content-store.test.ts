import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, readdirSync, readFileSync, readSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { ContentStore } from '../../src/store/content-store.ts';
import { fsck } from './_fsck.ts';
import { temporaryStore } from './_store.ts';

const code = (name: string) => (error: unknown) => error instanceof TsbuildError && error.code === `ERR_TSBUILD_${name}`;

async function collect(content: ContentStore, digest: ReturnType<typeof digestOf>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content.stream(digest)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('ingest() stores what was written under its digest and leaves no temporary file', async (t) => {
  const { root, content } = await temporaryStore(t);
  const chunks = [randomBytes(3_000_000), Buffer.alloc(0), randomBytes(1)];
  await using ingest = await content.ingest();
  for (const chunk of chunks) await ingest.write(chunk);
  const bytes = Buffer.concat(chunks);
  assert.deepEqual(await ingest.commit(), { digest: digestOf(bytes), size: bytes.length });
  assert.ok(content.has(digestOf(bytes)));
  assert.equal(content.size(digestOf(bytes)), bytes.length);
  assert.deepEqual(content.list(), [digestOf(bytes)]);
  assert.ok((await content.read(digestOf(bytes))).equals(bytes));
  assert.ok((await collect(content, digestOf(bytes))).equals(bytes));
  const fd = content.open(digestOf(bytes));
  assert.equal(readSync(fd, Buffer.alloc(10)), 10);
  closeSync(fd);
  assert.deepEqual(
    readdirSync(join(root, 'ingest')).flatMap((name) => readdirSync(join(root, 'ingest', name))),
    [],
  );
  assert.deepEqual(fsck(root), []);
});

test('ingest() takes the chunk before write() resolves, so that the caller may reuse the memory', async (t) => {
  const { content } = await temporaryStore(t);
  await using ingest = await content.ingest();
  const memory = Buffer.alloc(100_000, 1);
  await ingest.write(memory);
  memory.fill(2);
  await ingest.write(memory);
  const expected = Buffer.concat([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]);
  const { digest } = await ingest.commit({ digest: digestOf(expected) });
  assert.ok((await content.read(digest)).equals(expected));
});

test('read() lets timers in, however many documents are read one after the other', async (t) => {
  const { content } = await temporaryStore(t);
  await content.put(Buffer.from('data'));
  let isCalled = false;
  setTimeout(() => {
    isCalled = true;
  }, 1);
  for (let count = 0; count < 100_000 && !isCalled; count++) await content.read(digestOf('data'));
  assert.ok(isCalled);
});

test('ingest() refuses a wrong digest, a wrong size and too many bytes, and stores nothing', async (t) => {
  const { root, content } = await temporaryStore(t);
  for (const expected of [{ digest: digestOf('other') }, { size: 3 }, { digest: digestOf('data'), size: 5 }]) {
    const ingest = await content.ingest();
    await ingest.write(Buffer.from('data'));
    await assert.rejects(ingest.commit(expected), code('DIGEST_MISMATCH'));
    await assert.rejects(ingest.write(Buffer.from('more')), /closed/);
  }
  const ingest = await content.ingest({ size: 3 });
  await assert.rejects(ingest.write(Buffer.from('data')), code('DIGEST_MISMATCH'));
  await ingest.abort();
  assert.deepEqual(content.list(), []);
  assert.deepEqual(
    readdirSync(join(root, 'ingest')).flatMap((name) => readdirSync(join(root, 'ingest', name))),
    [],
  );
});

test('an ingest that is disposed without commit() stores nothing', async (t) => {
  const { content } = await temporaryStore(t);
  {
    await using ingest = await content.ingest();
    await ingest.write(Buffer.from('half'));
  }
  assert.deepEqual(content.list(), []);
});

test('put() is idempotent and shared by writers of the same bytes', async (t) => {
  const { root, content } = await temporaryStore(t);
  const bytes = randomBytes(100_000);
  const results = await Promise.all(Array.from({ length: 20 }, () => content.put(bytes)));
  assert.equal(new Set(results.map(({ digest }) => digest)).size, 1);
  const { ino } = statSync(content.path(digestOf(bytes)));
  await content.put(bytes);
  assert.equal(statSync(content.path(digestOf(bytes))).ino, ino);
  assert.deepEqual(fsck(root), []);
});

test('put() and ingest() heal a blob that has rotted', async (t) => {
  const { root, content } = await temporaryStore(t);
  const bytes = randomBytes(1000);
  const { digest } = await content.put(bytes);
  writeFileSync(content.path(digest), randomBytes(1000));
  await content.put(bytes);
  assert.deepEqual(fsck(root), []);
  writeFileSync(content.path(digest), randomBytes(1000));
  await using ingest = await content.ingest();
  await ingest.write(bytes);
  await ingest.commit({ digest });
  assert.deepEqual(fsck(root), []);
});

test('read() and stream() notice a flipped bit, a cut, an addition and zeros, and take the blob out', async (t) => {
  const { content } = await temporaryStore(t);
  const bytes = randomBytes(5000);
  const spoil: ((path: string) => void)[] = [
    (path) => {
      const copy = readFileSync(path);
      const bit = Math.floor(Math.random() * copy.length * 8);
      copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      writeFileSync(path, copy);
    },
    (path) => truncateSync(path, 4999),
    (path) => truncateSync(path, 5001),
    (path) => writeFileSync(path, Buffer.alloc(5000)),
    (path) => writeFileSync(path, ''),
  ];
  for (const change of spoil) {
    for (const use of [() => content.read(digestOf(bytes)), () => collect(content, digestOf(bytes))]) {
      await content.put(bytes);
      change(content.path(digestOf(bytes)));
      await assert.rejects(use(), code('DIGEST_MISMATCH'));
      assert.equal(content.has(digestOf(bytes)), false);
      await assert.rejects(use(), code('STORE_INVALID'));
    }
  }
});

test('read() refuses more bytes than it is asked for', async (t) => {
  const { content } = await temporaryStore(t);
  const { digest } = await content.put(Buffer.alloc(1001));
  await assert.rejects(content.read(digest, { maxBytes: 1000 }), code('IMAGE_INVALID'));
  assert.ok(content.has(digest));
});

test('stream() closes its file when the consumer stops early', async (t) => {
  const { content } = await temporaryStore(t);
  const { digest } = await content.put(randomBytes(3 << 20));
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 20; i++) {
    for await (const chunk of content.stream(digest)) {
      assert.ok(chunk.length > 0);
      break;
    }
  }
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('blobs are closed to other users whatever the umask', async (t) => {
  const { root, content } = await temporaryStore(t);
  const old = process.umask(0o777);
  try {
    const { digest } = await content.put(Buffer.from('x'));
    assert.equal(statSync(content.path(digest)).mode & 0o777, 0o600);
    assert.equal(statSync(root).mode & 0o777, 0o700);
  } finally {
    process.umask(old);
  }
  chmodSync(root, 0o700);
});
