/** Large blobs, which a thread of their own hashes and writes (src/store/writing-thread.ts). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { openStore } from '../../src/store/open-store.ts';
import { startWritingThread } from '../../src/store/writing-thread.ts';
import { takePiece } from '../../src/sys/piece.ts';
import { fsck } from './_fsck.ts';
import { temporaryDirectory, temporaryStore } from './_store.ts';

const LARGE = 20_000_003;
const code = (name: string) => (error: unknown) => error instanceof TsbuildError && error.code === `ERR_TSBUILD_${name}`;
const leftovers = (root: string) => readdirSync(join(root, 'ingest')).flatMap((name) => readdirSync(join(root, 'ingest', name)));

test('ingest() stores large blobs, written and taken in pieces of any size, several at once', async (t) => {
  const { root, content } = await temporaryStore(t);
  const one = async (): Promise<void> => {
    const bytes = randomBytes(LARGE);
    await using ingest = await content.ingest({ size: LARGE });
    const memory = Buffer.alloc(3 << 20);
    for (let at = 0; at < LARGE; ) {
      const isTaken = Math.random() < 0.5;
      const target = isTaken ? takePiece() : memory;
      const chunk = target.subarray(0, bytes.copy(target, 0, at, at + 1 + Math.floor(Math.random() * target.length)));
      if (isTaken) await ingest.take(chunk);
      else await ingest.write(chunk);
      // What was written is free for anything at once.
      memory.fill(0);
      at += chunk.length;
    }
    assert.deepEqual(await ingest.commit({ digest: digestOf(bytes), size: LARGE }), { digest: digestOf(bytes), size: LARGE });
    assert.equal(statSync(content.path(digestOf(bytes))).size, LARGE);
  };
  await Promise.all([one(), one(), one(), one(), one()]);
  assert.equal(content.list().length, 5);
  assert.deepEqual(fsck(root), []);
  assert.deepEqual(leftovers(root), []);
});

test('ingest() of a large blob refuses a wrong digest, a wrong size and too many bytes, and stores nothing', async (t) => {
  const { root, content } = await temporaryStore(t);
  const bytes = Buffer.alloc(LARGE, 1);
  const before = readdirSync('/proc/self/fd').length;
  for (const expected of [{ digest: digestOf('other') }, { size: LARGE + 1 }]) {
    await using ingest = await content.ingest({ size: LARGE });
    await ingest.write(bytes);
    await assert.rejects(ingest.commit(expected), code('DIGEST_MISMATCH'));
  }
  {
    await using ingest = await content.ingest({ size: LARGE });
    await ingest.write(bytes);
    await assert.rejects(ingest.take(Buffer.alloc(1)), code('DIGEST_MISMATCH'));
  }
  {
    await using ingest = await content.ingest({ size: LARGE });
    await ingest.write(bytes.subarray(0, 9_000_000));
  }
  assert.deepEqual(content.list(), []);
  assert.deepEqual(leftovers(root), []);
  // The scratch directory's own, and what the thread needs.
  assert.ok(readdirSync('/proc/self/fd').length <= before + 8);
});

test('a large blob on a full disk is NO_SPACE, and the place is given back', (t) => {
  const directory = temporaryDirectory(t);
  const program = `
    const { openStore } = await import(${JSON.stringify(new URL('../../src/store/open-store.js', import.meta.url).href)});
    const store = await openStore(process.argv[1] + '/root');
    const told = [];
    for (let round = 0; round < 2; round += 1) {
      const ingest = await store.content.ingest({ size: 40 << 20 });
      try {
        for (let at = 0; at < 40; at += 1) await ingest.write(Buffer.alloc(1 << 20, at));
        await ingest.commit();
      } catch (error) { told.push(error.code, error.message.replace(/.*: /, '')); }
      await ingest.abort();
    }
    console.log(JSON.stringify(told));`;
  const command = 'mount -t tmpfs -o size=16m none "$1" && exec "$2" --input-type=module -e "$3" "$1"';
  const out = execFileSync('unshare', ['-m', 'sh', '-c', command, 'sh', directory, process.execPath, program]).toString();
  const told = JSON.parse(out) as string[];
  assert.deepEqual([told[0], told[2]], ['ERR_TSBUILD_NO_SPACE', 'ERR_TSBUILD_NO_SPACE']);
  assert.match(told[1] ?? '', /the disk is full \(need \d+ bytes/);
});

test('a store that expected large blobs takes them, or none, and lets its process end', async (t) => {
  const directory = temporaryDirectory(t);
  const program = `
    const { openStore } = await import(${JSON.stringify(new URL('../../src/store/open-store.js', import.meta.url).href)});
    const { readdirSync } = await import('node:fs');
    const threads = () => readdirSync('/proc/self/task').length;
    const store = await openStore(process.argv[1] + '/root');
    const before = threads();
    store.expectLarge();
    store.expectLarge();
    const started = threads() - before;
    const ingest = await store.content.ingest({ size: 9 << 20 });
    await ingest.write(Buffer.alloc(9 << 20, 7));
    console.log(JSON.stringify([started, threads() - before, (await ingest.commit()).digest]));
    const other = await openStore(process.argv[1] + '/other');
    other.expectLarge();`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', program, directory], { timeout: 60_000 }).toString();
  assert.deepEqual(JSON.parse(out), [1, 1, digestOf(Buffer.alloc(9 << 20, 7))]);
});

test('a thread that has ended before anything was written fails who begins to write', { timeout: 60_000 }, async (t) => {
  const thread = startWritingThread();
  await thread.close();
  await using file = await open(join(temporaryDirectory(t), 'blob'), 'wx');
  const writer = thread.open(file);
  await assert.rejects(writer.write(Buffer.alloc(9 << 20)), /has ended/);
  await writer.stop();
});

test('a store expects large blobs also where the machine gives no thread', (t) => {
  const source = (name: string) => JSON.stringify(new URL(`../../src/store/${name}.js`, import.meta.url).href);
  const program = `
    const { openStore } = await import(${source('open-store')});
    const { startWritingThread } = await import(${source('writing-thread')});
    const { execFileSync } = await import('node:child_process');
    const store = await openStore(process.argv[1]);
    execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1:1']);
    process.setuid(65_000);
    let code;
    try { startWritingThread(); } catch (error) { code = error.code; }
    store.expectLarge();
    console.log(code);
    process.exit(0);`;
  const args = ['--input-type=module', '-e', program, join(temporaryDirectory(t), 'root')];
  assert.equal(execFileSync(process.execPath, args, { timeout: 60_000 }).toString().trim(), 'ERR_WORKER_INIT_FAILED');
});

test('a store with a writing thread lets its process end, disposed or not; disposing ends what is under way', async (t) => {
  const directory = temporaryDirectory(t);
  const program = `
    const { openStore } = await import(${JSON.stringify(new URL('../../src/store/open-store.js', import.meta.url).href)});
    const store = await openStore(process.argv[1] + '/root');
    const ingest = await store.content.ingest({ size: 9 << 20 });
    await ingest.write(Buffer.alloc(9 << 20, 7));
    console.log((await ingest.commit()).digest);`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', program, directory], { timeout: 60_000 }).toString();
  assert.equal(
    out.trim(),
    `sha256:${createHash('sha256')
      .update(Buffer.alloc(9 << 20, 7))
      .digest('hex')}`,
  );
  const store = await openStore(join(directory, 'other'));
  const ingest = await store.content.ingest({ size: LARGE });
  await ingest.write(Buffer.alloc(9 << 20));
  await store[Symbol.asyncDispose]();
  await assert.rejects(ingest.write(Buffer.alloc(9 << 20)), /has ended/);
});
