import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import { TsbuildError } from '../../src/errors.ts';
import { type ReadLayerOptions, readLayer } from '../../src/layers/read-layer.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { Change } from '../../src/tree/change.ts';
import { block, END, pax, sumUp, withBody } from './_archives.ts';
import { pieces } from './_overlay.ts';

async function read(bytes: Buffer, options: ReadLayerOptions & { cut?: number } = {}): Promise<Change[]> {
  const changes: Change[] = [];
  for await (const change of readLayer(pieces(bytes, options.cut ?? 1000), options)) changes.push(change);
  return changes;
}

async function readParts(...parts: Buffer[]): Promise<Change[]> {
  return await read(Buffer.concat([...parts, END]));
}

const INVALID = { code: 'ERR_TSBUILD_LAYER_INVALID' };

test('readLayer() reads extended headers over the block, bytes as they are', async () => {
  const records = {
    path: 'n\xff\xe9',
    uid: '4294967294',
    gid: '70000',
    mtime: '-1.5',
    'SCHILY.xattr.security.capability': '\x01\x80\xff\n',
    'SCHILY.xattr.trusted.overlay.redirect': '/etc',
    'SCHILY.xattr.security.selinux': 'x',
  };
  const [change] = await readParts(pax(records), withBody({}, Buffer.from('hello')));
  assert.equal(change?.kind, 'add');
  if (change?.kind !== 'add') return;
  assert.equal(change.path, 'n\xff\xe9');
  assert.deepEqual([change.node.uid, change.node.gid, change.node.mtimeNs, change.node.size], [4294967294, 70000, -1_500_000_000n, 5]);
  assert.deepEqual(change.xattrs, new Map([['security.capability', Buffer.from([1, 0x80, 0xff, 10])]]));
  assert.deepEqual(change.content, { kind: 'bytes', bytes: Buffer.from('hello') });
});

test('readLayer() reads GNU long names, base-256 numbers and headers before ustar', async () => {
  const base256 = Buffer.from([0x80, 0, 0, 0, 0, 1, 0, 0]);
  const changes = await readParts(
    withBody({ type: 'L', name: '././@LongLink' }, Buffer.from(`${'l'.repeat(200)}\0`)),
    block({ uid: base256, magic: 'ustar  ' }),
    block({ name: 'old/', type: '\0', magic: '' }),
  );
  assert.deepEqual(
    changes.map((change) => (change.kind === 'add' ? [change.path, change.node.type, change.node.uid] : [])),
    [
      ['l'.repeat(200), 'file', 65536],
      ['old', 'directory', 0],
    ],
  );
});

test('readLayer() cleans names, and knows whiteouts by their last component', async () => {
  const names = ['./a', '/b', 'c//d/./e', 'x/.wh.y', 'x/.wh..wh..opq', '.wh..wh.plnk/5.1', '.wh..hidden'];
  const changes = await readParts(...names.map((name) => block({ name })), block({ name: './', type: '5' }));
  assert.deepEqual(
    changes.map((change) => [change.kind, change.path]),
    [
      ['add', 'a'],
      ['add', 'b'],
      ['add', 'c/d/e'],
      ['delete', 'x/y'],
      ['opaque', 'x'],
      ['delete', '.hidden'],
      ['add', ''],
    ],
  );
});

const HOSTILE: Record<string, Buffer[]> = {
  'a name with ..': [block({ name: '../x' })],
  'a name with .. in the middle': [block({ name: 'a/../../x' })],
  'a hard link with ..': [block({ type: '1', link: '../../etc/passwd' })],
  'a hard link to nothing': [block({ type: '1', link: '' })],
  'an empty name': [block({ name: '' })],
  'the root as a file': [block({ name: './' })],
  'the root as a link': [block({ name: '.', type: '2', link: '/etc' })],
  'a link to nothing': [block({ type: '2', link: '' })],
  'a file with a slash at the end': [block({ name: 'x/' })],
  'a whiteout of nothing': [block({ name: 'd/.wh.' })],
  'a whiteout of .': [block({ name: 'd/.wh..' })],
  'a whiteout of ..': [block({ name: 'd/.wh...' })],
  'a whiteout of a whiteout': [block({ name: 'd/.wh..wh.x' })],
  'a name inside a whiteout': [block({ name: '.wh.a/b' })],
  'a whiteout that is a directory': [block({ name: '.wh.a', type: '5' })],
  'the device 0:0': [block({ type: '3' })],
  'a sparse entry of GNU': [block({ type: 'S' })],
  'a sparse entry of PAX': [pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' }), block()],
  'an unknown type': [block({ type: 'Z' })],
  'a socket or door': [block({ type: 'D' })],
  'a directory with content': [withBody({ type: '5' }, Buffer.from('x'))],
  'a link whose PAX size is not 0': [pax({ size: '512' }), block({ type: '2', link: 'x' }), Buffer.alloc(512)],
  'a size that is no number': [block({ size: '12x' })],
  'a size with a minus': [block({ size: '-1' })],
  'a negative base-256 size': [block({ size: Buffer.alloc(12, 0xff) })],
  'a size beyond 2^53': [block({ size: Buffer.from([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) })],
  'a user of 2^32-1': [block({ uid: Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]) })],
  'a PAX user of -1': [pax({ uid: '-1' }), block()],
  'a PAX user of 2^40': [pax({ uid: '1099511627776' }), block()],
  'a PAX user of 1e3': [pax({ uid: '1e3' }), block()],
  'a PAX size in hexadecimal': [pax({ size: '0x10' }), block()],
  'a PAX time that is none': [pax({ mtime: 'now' }), block()],
  'a PAX name with NUL': [withBody({ type: 'x' }, Buffer.from('12 path=a\0b\n')), block()],
  'a PAX record that is too long': [withBody({ type: 'x' }, Buffer.from('99 path=ab\n')), block()],
  'a PAX record that is too short': [withBody({ type: 'x' }, Buffer.from('5 path=ab\n')), block()],
  'a PAX record without a key': [withBody({ type: 'x' }, Buffer.from('6 =ab\n')), block()],
  'a PAX record without =': [withBody({ type: 'x' }, Buffer.from('7 abc\n\n')), block()],
  'a PAX length of +9': [withBody({ type: 'x' }, Buffer.from('+9 path=a\n')), block()],
  'two PAX headers in a row': [pax({ path: 'a' }), pax({ path: 'b' }), block()],
  'a PAX name and a GNU name': [withBody({ type: 'L' }, Buffer.from('a\0')), pax({ path: 'b' }), block()],
  'a PAX header for nothing': [pax({ path: 'a' })],
  'a global header that names entries': [pax({ path: 'a' }, 'g'), block()],
  'a global header between a header and its entry': [pax({ path: 'a' }), pax({ comment: 'b' }, 'g'), block()],
  'a global header for nothing': [pax({ comment: 'b' }, 'g')],
  'a PAX name that is empty': [withBody({ type: 'x' }, Buffer.from('8 path=\n')), block()],
  'a PAX time of reading that is none': [pax({ atime: 'now' }), block()],
  'names in a character set of its own': [pax({ hdrcharset: 'ISO-8859-1' }), block()],
  'a long name without an end': [withBody({ type: 'L' }, Buffer.from('abc')), block()],
  'a prefix where there is none': [block({ magic: 'ustar  \0', prefix: 'p' })],
  'a prefix of an unknown version': [block({ magic: 'ustar\x0001', prefix: 'p' })],
  'a prefix as long as readers disagree about': [block({ prefix: 'p'.repeat(140), trailer: '\0\0\0\0\0\0\0\0tar\0' })],
  'a device before there were any': [block({ magic: '', type: '3', major: '1' })],
  'a number behind a NUL': [block({ uid: '\x00644' })],
  'a number before a blank and a NUL': [block({ uid: '64 \x00x' })],
  'a base-256 number of an unusual first byte': [block({ uid: Buffer.from([0x81, 0, 0, 0, 0, 0, 0, 1]) })],
  'a device number of a file that is none': [block({ major: 'x' })],
  'the root as an old directory': [block({ name: './', type: '\0', magic: '' })],
  'an old directory by its long name only': [withBody({ type: 'L' }, Buffer.from('abc/\0')), block({ type: '\0' })],
  'a contiguous file': [block({ type: '7' })],
  'a PAX header of 2 MiB': [pax({ comment: 'x'.repeat(2 << 20) }), block()],
  'a long name of 8 GiB': [block({ type: 'L', size: '77777777777' })],
  'an entry after one block of zeros': [Buffer.alloc(512), block()],
  'a wrong checksum': [Buffer.concat([block().subarray(0, 511), Buffer.from([1])])],
};

for (const [name, parts] of Object.entries(HOSTILE)) {
  test(`readLayer() refuses ${name}`, async () => {
    await assert.rejects(readParts(...parts), INVALID);
  });
}

test('readLayer() ignores a comment in a global header', async () => {
  assert.equal((await readParts(pax({ comment: 'abc' }, 'g'), block())).length, 1);
});

const PLAIN = Buffer.concat([withBody({ name: 'a' }, randomBytes(3000)), withBody({ name: 'b' }, Buffer.alloc(600_000, 'b')), END]);

test('readLayer() tells compression by content and calls onDiffId with the digest of the whole archive', async () => {
  const padded = Buffer.concat([PLAIN, Buffer.alloc(8192)]);
  const members = Buffer.concat([zlib.gzipSync(padded.subarray(0, 1000)), zlib.gzipSync(padded.subarray(1000))]);
  for (const bytes of [padded, zlib.gzipSync(padded), members]) {
    let diffId = '';
    const changes = await read(bytes, {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      onDiffId: (digest) => (diffId = digest),
    });
    assert.equal(changes.length, 2);
    assert.equal(diffId, digestOf(padded));
  }
  assert.deepEqual(await read(Buffer.alloc(0)), []);
});

test('readLayer() passes over content that is not asked for, and hands out what is', async () => {
  const found: Buffer[] = [];
  for await (const change of readLayer(pieces(PLAIN, 777))) {
    if (change.kind === 'add' && change.path === 'b' && change.content?.kind === 'stream')
      for await (const chunk of change.content.chunks()) found.push(chunk);
  }
  assert.ok(Buffer.concat(found).equals(Buffer.alloc(600_000, 'b')));
});

test('readLayer() refuses anything after the end of gzip, and every truncation', async () => {
  const gzip = zlib.gzipSync(PLAIN);
  for (const tail of ['garbage', '\x1f\x8b\xff\xff', '\x1f', '\0\0\0']) {
    await assert.rejects(read(Buffer.concat([gzip, Buffer.from(tail, 'latin1')])), INVALID, JSON.stringify(tail));
    await assert.rejects(read(Buffer.concat([gzip, Buffer.from(tail, 'latin1')]), { cut: gzip.length }), INVALID, JSON.stringify(tail));
  }
  for (let i = 1; i < 300; i++)
    await assert.rejects(read(gzip.subarray(0, Math.floor((gzip.length * i) / 300))), INVALID, `cut at ${i}/300`);
  for (const at of [1, 511, 513, 3000, 100_000]) await assert.rejects(read(PLAIN.subarray(0, at)), INVALID, `plain, cut at ${at}`);
});

test('readLayer() stops at its limits', async () => {
  const bomb = zlib.gzipSync(Buffer.concat([block({ size: '77777777777' }), Buffer.alloc(50_000_000)]));
  await assert.rejects(read(bomb, { limits: { maxBytes: 1_000_000, maxEntries: 10 } }), /larger than 1000000 bytes/);
  await assert.rejects(read(PLAIN, { limits: { maxBytes: 1e9, maxEntries: 1 } }), /more than 1 entries/);
});

test('readLayer() names what it cannot decompress, and reads zstd by Node or by the machine', async () => {
  const bzip2 = execFileSync('bzip2', ['-c'], { input: PLAIN });
  await assert.rejects(read(bzip2), { code: 'ERR_TSBUILD_UNSUPPORTED', message: /bzip2/ });
  await assert.rejects(read(PLAIN, { mediaType: 'application/vnd.in-toto+json' }), { code: 'ERR_TSBUILD_UNSUPPORTED' });
  const zstd = (...args: string[]): Buffer => execFileSync('zstd', ['-qc', ...args], { input: PLAIN });
  for (const bytes of [zstd(), zstd('-19', '--no-check'), Buffer.concat([Buffer.from('502a4d1804000000abcdabcd', 'hex'), zstd()])]) {
    assert.equal((await read(bytes)).length, 2);
  }
  const whole = zstd();
  for (const bytes of [
    whole.subarray(0, -5),
    Buffer.concat([whole, Buffer.from('tail')]),
    Buffer.from('28b52ffdffffffffffffffff', 'hex'),
  ]) {
    await assert.rejects(read(bytes), { code: 'ERR_TSBUILD_LAYER_INVALID' });
  }
  await assert.rejects(read(execFileSync('zstd', ['-qc', '--ultra', '-22', '--long=31'], { input: PLAIN })), {
    code: 'ERR_TSBUILD_LAYER_INVALID',
  });
});

test('readLayer() passes errors of its source on, and stops it when the reader stops', async () => {
  const failing = async function* () {
    yield zlib.gzipSync(PLAIN).subarray(0, 2000);
    throw new TsbuildError('REGISTRY_UNREACHABLE', 'The connection broke');
  };
  await assert.rejects(
    async () => {
      for await (const _ of readLayer(failing()));
    },
    { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' },
  );
  let isClosed = false;
  const watched = async function* () {
    try {
      yield* pieces(zlib.gzipSync(PLAIN), 1000);
    } finally {
      isClosed = true;
    }
  };
  for await (const _ of readLayer(watched())) break;
  assert.ok(isClosed);
});

test('readLayer() answers any change to one byte of a header with a result or LAYER_INVALID', async () => {
  const archives = [
    block({ name: 'dir/file' }),
    block({ type: '2', link: 'x' }),
    block({ magic: 'ustar  ' }),
    pax({ path: 'a', uid: '5' }),
  ];
  for (const archive of archives) {
    for (let at = 0; at < archive.length; at++) {
      for (const byte of [0, 0x20, 0x2d, 0x30, 0x39, 0x7f, 0x80, 0xff]) {
        const bytes = Buffer.from(archive);
        bytes[at] = byte;
        // The sum is made right again, or nothing behind it would be reached.
        if (at < 512 && (at < 148 || at >= 156)) {
          sumUp(bytes);
        }
        try {
          await readParts(bytes, block());
        } catch (error) {
          assert.ok(error instanceof TsbuildError, `byte ${at} as ${byte}: ${String(error)}`);
        }
      }
    }
  }
});
