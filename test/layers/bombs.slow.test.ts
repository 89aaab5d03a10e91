/** What is small and becomes large, or never ends (security.md F3, F4): it stops at a limit that the message names, in memory that stays flat. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TsbuildError } from '../../src/errors.ts';
import { readArchiveFile } from '../../src/layers/archive-file.ts';
import { readArchive } from '../../src/layers/read-archive.ts';
import { block, END, pax, withBody } from './_archives.ts';
import { temporaryDirectory } from './_overlay.ts';

const MIB = 1 << 20;
const LIMITS = { maxBytes: 64 * MIB, maxEntries: 10_000 };
const RSS_MAX = 96 * MIB;

/** A file of 256 MiB of one byte: four times the limit. */
const BIG = Buffer.concat([block({ size: '02000000000' }), Buffer.alloc(256 * MIB, 'a'), END]);
const SMALL = Buffer.concat([withBody({ name: 'a' }, Buffer.from('a')), END]);
const ZEROS = Buffer.alloc(MIB);

function by(program: string, input: Buffer, ...args: string[]): Buffer {
  return execFileSync(program, ['-c', ...args], { input, maxBuffer: 512 * MIB });
}

function repeat(bytes: Buffer, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

/** A member of gzip with a name, comment and extra field that do not end (RFC 1952 2.3.1). */
function gzipHeader(flags: number, rest: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3]), rest]);
}

/** RFC 8878 3.1.2. */
function skippable(size: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50);
  head.writeUInt32LE(size, 4);
  return Buffer.concat([head, body]);
}

/** A frame of RLE blocks of 128 KiB each: four bytes for each (RFC 8878 3.1.1.2.2). */
function zstdRle(blocks: number): Buffer {
  return Buffer.concat([Buffer.from('28b52ffd0060', 'hex'), repeat(Buffer.from('02001061', 'hex'), blocks)]);
}

const TOO_LARGE = /larger than 67108864 bytes when decompressed/;
const BROKEN = /Cannot (?:read|decompress)/;

/** Bytes, and what the message says. */
const BOMBS: Record<string, () => readonly [Buffer, RegExp]> = {
  'gzip of one byte, often': () => [gzipSync(BIG, { level: 9 }), TOO_LARGE],
  'gzip in a thousand members': () => [Buffer.concat([gzipSync(BIG.subarray(0, 512)), repeat(gzipSync(ZEROS), 1000)]), TOO_LARGE],
  'gzip of empty members': () => [repeat(gzipSync(Buffer.alloc(0), { level: 1 }), 50_000).subarray(0, -1), BROKEN],
  'gzip with a name that does not end': () => [gzipHeader(8, Buffer.alloc(32 * MIB, 'n')), BROKEN],
  'gzip with a comment that does not end': () => [gzipHeader(16, Buffer.alloc(32 * MIB, 'n')), BROKEN],
  'gzip with an extra field that is not there': () => [gzipHeader(4, Buffer.from([0xff, 0xff, 1])), BROKEN],
  'gzip of gzip': () => [gzipSync(gzipSync(BIG)), BROKEN],
  'gzip of an archive after its end': () => [gzipSync(Buffer.concat([SMALL, Buffer.alloc(128 * MIB)])), TOO_LARGE],
  'gzip and then zeros': () => [Buffer.concat([gzipSync(SMALL), ZEROS]), /bytes follow after its end|Cannot/],
  'zstd of one byte, often': () => [by('zstd', BIG, '-q'), TOO_LARGE],
  'zstd of blocks that say how often': () => [zstdRle(20_000), BROKEN],
  'zstd in a thousand frames': () => [
    Buffer.concat([by('zstd', BIG.subarray(0, 512), '-q'), repeat(by('zstd', ZEROS, '-q'), 1000)]),
    TOO_LARGE,
  ],
  'zstd with a window of 2 GiB': () => [by('zstd', BIG, '-q', '--ultra', '-22', '--long=31'), BROKEN],
  'zstd with a window of 256 MiB': () => [by('zstd', BIG, '-q', '--ultra', '-22', '--long=28'), BROKEN],
  'zstd with a frame of 4 GiB to skip': () => [skippable(0xffff_ffff, ZEROS), BROKEN],
  'zstd with a dictionary that nobody has': () => [Buffer.from('28b52ffd2301020304', 'hex'), BROKEN],
  'a hundred thousand frames to skip, and an archive cut short': () => [
    Buffer.concat([repeat(skippable(0, Buffer.alloc(0)), 100_000), by('zstd', SMALL, '-q').subarray(0, -4)]),
    BROKEN,
  ],
  'bzip2 of one byte, often': () => [by('bzip2', BIG), TOO_LARGE],
  'xz of one byte, often': () => [by('xz', BIG, '-0'), TOO_LARGE],
  'xz that wants 1.5 GiB': () => [by('xz', SMALL, '--lzma2=dict=1536MiB'), /xz/],
  'xz that is cut': () => [by('xz', SMALL).subarray(0, -20), /xz/],
  'bzip2 that is cut': () => [by('bzip2', SMALL).subarray(0, -10), /bzip2/],
  'a plain archive beyond the limit': () => [BIG, TOO_LARGE],
  'a file of 8 EiB': () => [
    gzipSync(Buffer.concat([block({ size: Buffer.from('\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff', 'latin1') }), ZEROS])),
    /beyond 2\^53/,
  ],
  'a file of 8 PiB': () => [gzipSync(Buffer.concat([pax({ size: '9007199254740991' }), block(), repeat(ZEROS, 80)])), TOO_LARGE],
  'a long name of 4 GiB': () => [block({ type: 'L', size: '37777777777' }), /extended header is larger than 1 MiB/],
  'a PAX header of 8 GiB': () => [block({ type: 'x', size: '77777777777' }), /extended header is larger than 1 MiB/],
  'PAX headers of a megabyte, one after the other': () => [
    gzipSync(repeat(Buffer.concat([pax({ comment: 'x'.repeat(MIB - 100) }), block()]), 100)),
    TOO_LARGE,
  ],
  'a hundred thousand records': () => [
    gzipSync(
      Buffer.concat([pax(Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`k${i}`, '']))), block(), block(), Buffer.alloc(1)]),
    ),
    BROKEN,
  ],
  'more entries than the limit': () => [gzipSync(repeat(block(), 10_001)), /more than 10000 entries/],
  'a sparse map': () => [Buffer.concat([pax({ 'GNU.sparse.map': '0,1,'.repeat(100_000) }), block(), END]), /not supported/],
};

test('F3 F4 there are at least thirty bombs', () => {
  assert.ok(Object.keys(BOMBS).length >= 30, String(Object.keys(BOMBS).length));
});

for (const [name, make] of Object.entries(BOMBS)) {
  test(`a layer is refused that is ${name}`, async () => {
    const file = path.join(temporaryDirectory(), 'bomb');
    const [bytes, message] = make();
    writeFileSync(file, bytes);
    const before = process.memoryUsage().rss;
    await assert.rejects(readAll(file), (error) => error instanceof TsbuildError && message.test(error.message));
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < RSS_MAX, `${Math.round(grown / MIB)} MiB more`);
  });
}

async function readAll(file: string): Promise<void> {
  // The reader closes the descriptor.
  for await (const change of readArchive(readArchiveFile(openSync(file, constants.O_RDONLY)), { limits: LIMITS }))
    if (change.content?.kind === 'stream') for await (const _ of change.content.chunks());
}
