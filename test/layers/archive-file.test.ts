import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, openSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TsbuildError } from '../../src/errors.ts';
import { isArchiveFile, readArchiveFile } from '../../src/layers/archive-file.ts';
import { readArchive } from '../../src/layers/read-archive.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-archive-'));
after(() => rmSync(directory, { recursive: true }));

function opened(content: Buffer): number {
  const file = path.join(directory, 'file');
  writeFileSync(file, content);
  return openSync(file, 'r');
}

function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const root = mkdtempSync(path.join(directory, 'tree-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(root, name), content);
  return execFileSync('tar', ['-c', '-C', root, ...Object.keys(files)], { maxBuffer: 64 << 20 });
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function* chunksOf(source: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* source;
}

/** Each with the digest of its content. */
async function entriesOf(source: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const { content, ...change } of readArchive(chunksOf(source))) {
    const hash = createHash('sha256');
    if (content?.kind === 'bytes') hash.update(content.bytes);
    else if (content?.kind === 'stream') for await (const chunk of content.chunks()) hash.update(chunk);
    found.push([change, hash.digest('hex')]);
  }
  return found;
}

const TAR = tarOf({ a: 'x'.repeat(100_000), '.wh.b': 'ordinary', '.wh..wh..opq': '' });
const COMPRESSED: [string, Buffer][] = [
  ['nothing', TAR],
  ['gzip', gzipSync(TAR)],
  ['bzip2', execFileSync('bzip2', ['-c'], { input: TAR })],
  ['xz', execFileSync('xz', ['-c'], { input: TAR })],
  ['zstd', execFileSync('zstd', ['-qc'], { input: TAR })],
];

describe('readArchiveFile() and isArchiveFile()', () => {
  for (const [name, bytes] of COMPRESSED) {
    test(`read what ${name} compressed`, async () => {
      assert.deepEqual(await collect(readArchiveFile(opened(bytes))), TAR);
      assert.equal(await isArchiveFile(opened(bytes)), true);
    });
  }

  // Chunks of a file that is not compressed lie in memory that is used again, and entries of all kinds reach over their ends.
  test('what lies in two chunks is read as what lies in one', async () => {
    const root = mkdtempSync(path.join(directory, 'many-'));
    const long = 'a-long-name-'.repeat(18);
    for (let at = 0; at < 900; at++) {
      const name = path.join(root, `${at}-${at % 3 === 0 ? long : 'x'}`);
      writeFileSync(name, `${at} `.repeat((at * 7919) % 3000));
      if (at % 5 === 0) symlinkSync(`${long}${at}`, `${name}.link`);
    }
    const large = Buffer.alloc(3 << 20, 'large and more ');
    writeFileSync(path.join(root, 'large'), large);
    for (const format of ['gnu', 'pax']) {
      const bytes = execFileSync('tar', ['-c', '--format', format, '-C', root, '.'], { maxBuffer: 64 << 20 });
      assert.deepEqual(await entriesOf(readArchiveFile(opened(bytes))), await entriesOf([bytes]), format);
    }
  });

  for (const [name, bytes] of COMPRESSED.slice(1)) {
    test(`readArchiveFile refuses ${name} cut anywhere`, async () => {
      for (const at of [7, 20, Math.floor(bytes.length / 2), bytes.length - 1]) {
        await assert.rejects(collect(readArchiveFile(opened(bytes.subarray(0, at)))), { code: 'ERR_TSBUILD_LAYER_INVALID' }, `${at}`);
      }
    });
  }

  test('isArchiveFile says no to everything else', async () => {
    const header = Buffer.from(TAR.subarray(0, 512));
    header[0] = 0x7a;
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.alloc(4096),
      Buffer.from('#!/bin/sh\n'.repeat(90)),
      header,
      TAR.subarray(0, 511),
      gzipSync('x'),
    ]) {
      assert.equal(await isArchiveFile(opened(bytes)), false);
    }
    assert.equal(await isArchiveFile(opened(Buffer.from('BZh9 is how this text begins'))), false);
  });

  test('close the file and leave no process, read to the end or not', async () => {
    const count = () => readdirSync('/proc/self/fd').length;
    const children = () =>
      execFileSync('ps', ['--no-headers', '--ppid', String(process.pid), '-o', 'comm='], { encoding: 'utf8' }).replace(/ps\n/, '');
    const before = count();
    const big = execFileSync('xz', ['-0c'], { input: Buffer.alloc(32 << 20) });
    for (let round = 0; round < 5; round++) {
      await isArchiveFile(opened(big));
      for await (const chunk of readArchiveFile(opened(big))) if (chunk.length > 0) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(children(), '');
    assert.ok(count() <= before + 1, `${count()} descriptors, ${before} before`);
  });
});

describe('readArchive()', () => {
  test('takes names of whiteouts for names', async () => {
    const paths: string[] = [];
    for await (const change of readArchive(readArchiveFile(opened(TAR)))) paths.push(`${change.kind} ${change.path}`);
    assert.deepEqual(paths, ['add a', 'add .wh.b', 'add .wh..wh..opq']);
  });

  test('stops at its limits: a bomb costs no more', async () => {
    const bomb = gzipSync(tarOf({ big: '0'.repeat(8 << 20) }));
    const read = async (limits: { maxBytes: number; maxEntries: number }) => {
      for await (const change of readArchive(readArchiveFile(opened(bomb)), { limits })) void change;
    };
    await read({ maxBytes: 16 << 20, maxEntries: 1 });
    await assert.rejects(read({ maxBytes: 1 << 20, maxEntries: 1 }), /larger than 1048576 bytes/);
    await assert.rejects(
      read({ maxBytes: 16 << 20, maxEntries: 0 }),
      (error) => error instanceof TsbuildError && /entries/.test(error.message),
    );
  });
});
