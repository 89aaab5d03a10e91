/** eStargz layers, read by Python as docs/estargz.md of the stargz-snapshotter tells: footer, index, one piece of one file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compressionOf } from '../../src/layers/compress.ts';
import { packArchive, packLayer } from '../../src/layers/pack-layer.ts';
import { readLayer } from '../../src/layers/read-layer.ts';
import type { AddChange, Change } from '../../src/tree/change.ts';
import { b, pieces, temporaryDirectory } from './_overlay.ts';

const NODE = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n } as const;
const ESTARGZ = compressionOf('estargz');

function add(path: string, bytes: Buffer, node: object = {}, more: object = {}): AddChange {
  const content = { kind: 'bytes', bytes } as const;
  return { kind: 'add', path: b(path), node: { ...NODE, size: bytes.length, ...node }, xattrs: new Map(), content, ...more };
}

const LARGE = Buffer.concat([randomBytes(5_000_000), Buffer.alloc(4_500_000, 'text ')]);
const CHANGES: Change[] = [
  add('dir', Buffer.alloc(0), { type: 'directory', mode: 0o1777, mtimeNs: 1_600_000_000_600_000_000n }),
  add('dir/large', LARGE, { uid: 33, gid: 3_000_000, mode: 0o4755 }),
  add('dir/empty', Buffer.alloc(0)),
  add(`dir/${'n'.repeat(200)}`, Buffer.from('long name'), {}, { xattrs: new Map([['user.note', Buffer.from([0xff, 0])]]) }),
  add('\xc3\xa9', Buffer.from('accent')),
  { kind: 'delete', path: b('gone') },
  add('link', Buffer.alloc(0), { type: 'symlink', linkTarget: b('dir/large') }),
  { ...add('same', Buffer.alloc(0)), hardLinkTo: b('dir/large') },
  add('null', Buffer.alloc(0), { type: 'char', device: { major: 1, minor: 3 } }),
  add('small', Buffer.from('small')),
];

/** Prints the entries of the index, after checking every piece of every file against its digests. */
const READER = `
import gzip, hashlib, io, json, sys, tarfile, zlib
blob = open(sys.argv[1], 'rb').read()
foot = blob[-51:]
assert foot[:4] == b'\\x1f\\x8b\\x08\\x04' and foot[10:12] == b'\\x1a\\x00' and foot[12:16] == b'SG\\x16\\x00' and foot[32:38] == b'STARGZ', foot
assert gzip.decompress(foot) == b''
start = int(foot[16:32], 16)
toc = tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob[start:-51]))).extractfile('stargz.index.json').read()
index = json.loads(toc)
assert index['version'] == 1
whole = {}
for e in index['entries']:
    if e['type'] == 'reg': size, name = e.get('size', 0), e['name']
    if e['type'] not in ('reg', 'chunk') or size == 0: continue
    assert e['name'] == name
    piece = e.get('chunkSize') or size - e.get('chunkOffset', 0)
    data = zlib.decompressobj(31).decompress(blob[e['offset']:], piece)
    assert len(data) == piece and 'sha256:' + hashlib.sha256(data).hexdigest() == e['chunkDigest'], e
    whole[name] = whole.get(name, b'') + data
for e in index['entries']:
    if 'digest' in e: assert 'sha256:' + hashlib.sha256(whole[e['name']]).hexdigest() == e['digest']
tar = gzip.decompress(blob)
names = [m.name for m in tarfile.open(fileobj=io.BytesIO(tar))]
assert names[-1] == 'stargz.index.json' and names[:-1] == [e['name'].rstrip('/') for e in index['entries'] if e['type'] != 'chunk'], names
print(json.dumps({'entries': index['entries'], 'toc': 'sha256:' + hashlib.sha256(toc).hexdigest(), 'diffId': 'sha256:' + hashlib.sha256(tar).hexdigest(), 'size': len(tar)}))
`;

async function pack(changes: readonly Change[]): Promise<{ packed: Awaited<ReturnType<typeof packLayer>>; blob: Buffer }> {
  const chunks: Buffer[] = [];
  const packed = await packLayer(changes, { write: (chunk) => void chunks.push(chunk) }, { compression: ESTARGZ });
  const blob = Buffer.concat(chunks);
  assert.equal(packed.size, blob.length);
  return { packed, blob };
}

function readByPython(blob: Buffer): { entries: Record<string, unknown>[]; toc: string; diffId: string; size: number } {
  const file = join(temporaryDirectory(), 'layer');
  writeFileSync(file, blob);
  return JSON.parse(execFileSync('python3', ['-c', READER, file], { encoding: 'utf8' }));
}

test('packLayer() writes an eStargz whose footer, index and pieces a reader of its specification finds', async () => {
  const { packed, blob } = await pack(CHANGES);
  const { entries, toc, diffId, size } = readByPython(blob);
  assert.deepEqual(packed.annotations, {
    'containerd.io/snapshot/stargz/toc.digest': toc,
    'io.containers.estargz.uncompressed-size': String(size),
  });
  assert.equal(packed.diffId, diffId);
  assert.equal(packed.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
  const plain = entries.map(({ offset: _, digest: __, chunkDigest: ___, ...rest }) => rest);
  const chunk = 4 << 20;
  assert.deepEqual(plain, [
    { name: '.no.prefetch.landmark', type: 'reg', size: 1 },
    { name: 'dir/', type: 'dir', mode: 0o1777, modtime: '2020-09-13T12:26:41Z' },
    { name: 'dir/large', type: 'reg', size: LARGE.length, mode: 0o4755, uid: 33, gid: 3_000_000, chunkSize: chunk },
    { name: 'dir/large', type: 'chunk', chunkOffset: chunk, chunkSize: chunk },
    { name: 'dir/large', type: 'chunk', chunkOffset: 2 * chunk },
    { name: 'dir/empty', type: 'reg', mode: 0o644 },
    { name: `dir/${'n'.repeat(200)}`, type: 'reg', size: 9, mode: 0o644, xattrs: { 'user.note': '/wA=' } },
    { name: 'é', type: 'reg', size: 6, mode: 0o644 },
    { name: '.wh.gone', type: 'reg' },
    { name: 'link', type: 'symlink', linkName: 'dir/large', mode: 0o644 },
    { name: 'same', type: 'hardlink', linkName: 'dir/large', mode: 0o644 },
    { name: 'null', type: 'char', devMajor: 1, devMinor: 3, mode: 0o644 },
    { name: 'small', type: 'reg', size: 5, mode: 0o644 },
  ]);
});

test('packArchive() makes of an eStargz the same eStargz again, and readLayer() finds the changes in it', async () => {
  const { packed, blob } = await pack(CHANGES);
  const tar = execFileSync('gzip', ['-dc'], { input: blob, maxBuffer: 1 << 26 });
  const again: Buffer[] = [];
  await packArchive(pieces(tar, 70_001), { write: (chunk) => void again.push(chunk) }, { compression: ESTARGZ });
  assert.ok(Buffer.concat(again).equals(blob));
  const paths: string[] = [];
  let diffId: string | undefined;
  for await (const change of readLayer(pieces(blob, 9999), { onDiffId: (found) => (diffId = found) })) paths.push(change.path);
  assert.equal(diffId, packed.diffId);
  assert.equal(paths.length, CHANGES.length + 2);
  assert.ok(readByPython((await pack([])).blob).entries.length === 1);
});

test('packLayer() refuses an eStargz of names that its index cannot hold', async () => {
  await assert.rejects(pack([add('bad\xff', Buffer.from('x'))]), { code: 'ERR_TSBUILD_UNSUPPORTED', message: /bad\\xff/ });
});
