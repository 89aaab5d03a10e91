import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { compress, compressionOf, GZIP } from '../../src/layers/compress.ts';
import { decompress } from '../../src/layers/decompress.ts';
import { writeLayerTar } from '../../src/layers/layer-tar.ts';
import { overlayDiff } from '../../src/layers/overlay-diff.ts';
import { packLayer } from '../../src/layers/pack-layer.ts';
import { parallelGzip } from '../../src/layers/parallel-gzip.ts';
import { readLayer } from '../../src/layers/read-layer.ts';
import { encodeTarHeader, type TarHeader } from '../../src/layers/tar-header.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { AddChange, Change } from '../../src/tree/change.ts';
import {
  b,
  dumpTree,
  type Operation,
  pieces,
  sayable,
  startDriver,
  tarOf,
  tarOfActive,
  temporaryDirectory,
  temporarySnapshotter,
} from './_overlay.ts';

const driver = startDriver();

const FILE = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n } as const;

function file(path: string, content: string, node: object = {}): AddChange {
  const bytes = Buffer.from(content, 'latin1');
  return {
    kind: 'add',
    path: b(path),
    node: { ...FILE, size: bytes.length, ...node },
    xattrs: new Map(),
    content: { kind: 'bytes', bytes },
  };
}

async function gathered(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function header(fields: Partial<TarHeader>): TarHeader {
  const nothing = { typeFlag: '0', mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 0n, major: 0, minor: 0 } as const;
  return { ...nothing, path: b('x'), linkPath: b(''), xattrs: new Map(), ...fields };
}

test('encodeTarHeader() writes PAX only for what ustar cannot hold', () => {
  assert.equal(encodeTarHeader(header({ path: b('p/'.repeat(70)) })).length, 512);
  assert.equal(encodeTarHeader(header({ uid: 0o7777777, size: 0o77777777777 })).length, 512);
  for (const fields of [
    { uid: 0o10000000 },
    { size: 0o100000000000 },
    { mtimeNs: 1n },
    { mtimeNs: -1_000_000_000n },
    { path: b('\xc3\xa9') },
  ]) {
    assert.equal(
      encodeTarHeader(header(fields)).length,
      1536,
      JSON.stringify(fields, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
    );
  }
  assert.match(encodeTarHeader(header({ mtimeNs: 1_000_000_001n })).toString('latin1'), /\n?21 mtime=1\.000000001\n/);
  assert.match(encodeTarHeader(header({ mtimeNs: -500_000_000n })).toString('latin1'), /14 mtime=-0\.5\n/);
});

test('writeLayerTar() refuses a file that shrank, grew, or has the name of a whiteout', async () => {
  const directory = temporaryDirectory();
  const { openSync } = await import('node:fs');
  writeFileSync(join(directory, 'f'), 'four');
  const change = (size: number): AddChange => ({
    ...file('f', ''),
    node: { ...FILE, size },
    content: { kind: 'file', open: () => openSync(join(directory, 'f'), 'r') },
  });
  assert.equal((await tarOf([change(4)])).length, 2048);
  await assert.rejects(tarOf([change(5)]), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
  await assert.rejects(tarOf([change(3)]), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
  // Where the archive has no zeros behind it, and where it has.
  writeFileSync(join(directory, 'f'), Buffer.alloc(513));
  assert.equal((await tarOf([change(513)])).length, 2560);
  await assert.rejects(tarOf([change(512)]), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
  await assert.rejects(tarOf([{ ...file('f', 'ab'), node: { ...FILE, size: 3 } }]), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
  await assert.rejects(tarOf([file('d/.wh.x', '')]), { code: 'ERR_TSBUILD_LAYER_INVALID' });
  const badName: AddChange = { ...file('f', ''), xattrs: new Map([['user.a=b', Buffer.from('c')]]) };
  await assert.rejects(tarOf([badName]), { code: 'ERR_TSBUILD_LAYER_INVALID' });
});

test('writeLayerTar() clamps later times only', async () => {
  const chunks: Buffer[] = [];
  const changes = [file('new', '', { mtimeNs: 9_000_000_001n }), file('old', '', { mtimeNs: 1_000_000_000n })];
  for await (const chunk of writeLayerTar(changes, { clampTimeSeconds: 5 })) chunks.push(chunk);
  const times = [];
  for await (const change of readLayer(pieces(Buffer.concat(chunks)))) times.push(change.kind === 'add' ? change.node.mtimeNs : undefined);
  assert.deepEqual(times, [5_000_000_000n, 1_000_000_000n]);
});

const EVERYTHING: Operation[] = [
  ['mkdir', 'dir', 0],
  ['write', 'dir/file', 'text'],
  ['link', 'hard', 'dir/file'],
  ['symlink', 'sym', 'dir/file'],
  ['symlink', 'long-link', 'x/'.repeat(400)],
  ['write', '\xff\xfe.bin', 'x'],
  ['write', 'n'.repeat(255), 'long name'],
  ['mkdir', 'p'.repeat(120), 0],
  ['write', `${'p'.repeat(120)}/${'q'.repeat(120)}`, 'split'],
  ['chown', 'dir', 3_000_000],
  ['utime', 'hard', 1_234_567_890],
  ['utime', 'sym', 5_000_000_000],
  ['fifo', 'fifo', 0],
  ['device', 'null', 0],
  ['write', 'ping', 'elf'],
  ['chmod', 'ping', 0o4755],
  ['capability', 'ping', 0],
  ['xattr', 'dir', '\x80\x81'],
  ['socket', 'sock', 0],
];

test('GNU tar, Python and tar-stream list the same entries that readLayer() reads', async () => {
  const snapshots = temporarySnapshotter();
  const active = snapshots.prepare(undefined);
  await driver.run(snapshots, active, EVERYTHING);
  const tar = await tarOfActive(snapshots, active);
  const path = join(temporaryDirectory(), 'layer.tar');
  writeFileSync(path, tar);
  const ours: string[] = [];
  for await (const change of readLayer(pieces(tar, 700))) {
    if (change.kind === 'add') ours.push(Buffer.from(`${change.path === '' ? '.' : change.path}`, 'latin1').toString('hex'));
  }
  const gnu = execFileSync('tar', ['--quoting-style=escape', '-tf', path], { encoding: 'latin1' }).trim().split('\n');
  assert.equal(gnu.length, ours.length);
  const script = `
import tarfile, json, sys
with tarfile.open(sys.argv[1], encoding='latin1', errors='strict') as t:
    print(json.dumps([[m.name.encode('latin1').hex(), m.type.decode(), m.mode, m.uid, m.gid, m.size, float(m.mtime), m.linkname.encode('latin1').hex()] for m in t]))
`;
  // Python reads PAX values as UTF-8: names that are not come back with surrogate escapes, so only their number is compared.
  const python = JSON.parse(
    execFileSync(
      'python3',
      [
        '-c',
        script
          .replace("encoding='latin1', errors='strict'", "errors='surrogateescape'")
          .replaceAll(".encode('latin1')", ".encode('utf8', 'surrogateescape')"),
        path,
      ],
      { encoding: 'utf8' },
    ),
  ) as [string, string, number, number, number, number, number, string][];
  assert.deepEqual(
    python.map(([name]) => name),
    ours,
  );
  assert.equal(python.find(([name]) => name === Buffer.from('dir').toString('hex'))?.[3], 3_000_000);
  assert.equal(python.find(([name]) => name === Buffer.from('hard').toString('hex'))?.[1], '1');
  const { extract } = await import('tar-stream');
  const names: string[] = [];
  const parser = extract();
  parser.on('entry', (entry, stream, next) => {
    names.push(entry.name);
    stream.on('end', next).resume();
  });
  await new Promise<void>((resolve, reject) =>
    parser
      .on('finish', () => resolve())
      .on('error', reject)
      .end(tar),
  );
  assert.equal(names.length, ours.length);
  const reports = execFileSync('tar', ['-C', temporaryDirectory(), '-xpf', path, '--xattrs', '--xattrs-include=*', '--numeric-owner'], {
    encoding: 'utf8',
  });
  assert.equal(reports, '');
});

test('overlayDiff() leaves the root out where only its time changed, and not where its mode did', async () => {
  const snapshots = temporarySnapshotter();
  const active = snapshots.prepare(undefined);
  const paths = async () => {
    using lower = snapshots.tree(undefined);
    return [...overlayDiff(active.upperFd, lower)].map(({ path }) => path);
  };
  await driver.run(snapshots, active, [['write', 'f', 'x']]);
  assert.deepEqual(await paths(), ['f']);
  await driver.run(snapshots, active, [['chmod', '.', 0o700]]);
  assert.deepEqual(await paths(), ['', 'f']);
});

test('GNU tar unpacks writeLayerTar() to the tree the kernel showed', async () => {
  const snapshots = temporarySnapshotter();
  const active = snapshots.prepare(undefined);
  const live = await driver.run(snapshots, active, EVERYTHING);
  const other = snapshots.prepare(undefined);
  const path = join(temporaryDirectory(), 'layer.tar');
  writeFileSync(path, await tarOfActive(snapshots, active));
  const target = join(snapshots.directory, other.id, 'fs');
  execFileSync('tar', ['-C', target, '-xpf', path, '--xattrs', '--xattrs-include=*', '--numeric-owner', '--same-owner']);
  using view = snapshots.activeTree(other);
  assert.deepEqual(sayable(dumpTree(view)), sayable(live));
});

test('umoci unpacks an OCI layout with packLayer() layers to the live tree', async () => {
  const snapshots = temporarySnapshotter();
  const layout = temporaryDirectory();
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const put = (bytes: Buffer | string) => {
    const digest = digestOf(bytes);
    writeFileSync(join(layout, 'blobs/sha256', digest.slice(7)), bytes);
    return { digest, size: Buffer.byteLength(bytes) };
  };
  const layers: { mediaType: string; digest: string; size: number }[] = [];
  const diffIds: string[] = [];
  let parent: string | undefined;
  let live: Awaited<ReturnType<typeof driver.run>> = [];
  const second: Operation[] = [
    ['replace', 'dir', 0],
    ['write', 'dir/new', 'x'],
    ['unlink', 'hard', 0],
    ['remove', 'sym', 0],
    ['mkdir', 'sym', 0],
    ['chmod', 'ping', 0o755],
  ];
  for (const ops of [EVERYTHING.filter(([name]) => name !== 'socket'), second]) {
    const active = snapshots.prepare(parent);
    live = await driver.run(snapshots, active, ops);
    using lower = snapshots.tree(parent);
    const chunks: Buffer[] = [];
    const packed = await packLayer(
      overlayDiff(active.upperFd, lower),
      { write: (chunk) => void chunks.push(chunk) },
      { compression: GZIP },
    );
    const blob = put(Buffer.concat(chunks));
    assert.equal(blob.size, packed.size);
    assert.equal(digestOf(gunzipSync(Buffer.concat(chunks))), packed.diffId);
    layers.push({ mediaType: packed.mediaType, ...blob });
    diffIds.push(packed.diffId);
    parent = `layer-${layers.length}`;
    snapshots.commit(active, parent);
  }
  const config = put(
    JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds }, history: [] }),
  );
  const manifest = put(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers,
    }),
  );
  const index = {
    schemaVersion: 2,
    manifests: [
      { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest, annotations: { 'org.opencontainers.image.ref.name': 't' } },
    ],
  };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const bundle = join(temporaryDirectory(), 'bundle');
  execFileSync('umoci', ['unpack', '--image', `${layout}:t`, bundle], { stdio: 'pipe' });
  const copied = snapshots.prepare(undefined);
  execFileSync('cp', ['-aT', join(bundle, 'rootfs'), join(snapshots.directory, copied.id, 'fs')]);
  using view = snapshots.activeTree(copied);
  assert.deepEqual(sayable(dumpTree(view)), sayable(live));
});

test('parallelGzip() makes one member that gzip accepts, of any size, the same however the input is cut', async () => {
  const { randomBytes } = await import('node:crypto');
  for (const size of [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000]) {
    const input = Buffer.concat([randomBytes(size >> 1), Buffer.alloc(size - (size >> 1), 'abc')]);
    const one = await gathered(parallelGzip(pieces(input, 1 << 20), 6));
    assert.ok(execFileSync('gzip', ['-dc'], { input: one, maxBuffer: 1 << 24 }).equals(input), `${size} bytes`);
    assert.ok(one.equals(await gathered(parallelGzip(pieces(input, 77_777), 6))), `${size} bytes, cut otherwise`);
  }
});

test('compress() makes frames that zstd accepts, of any size, the same however the input is cut', async () => {
  const { randomBytes } = await import('node:crypto');
  for (const size of [0, 1, 4 << 20, (4 << 20) + 1, 9_000_000]) {
    const input = Buffer.concat([randomBytes(size >> 1), Buffer.alloc(size - (size >> 1), 'abc')]);
    for (const level of [1, 3, 19]) {
      const one = await gathered(compress(pieces(input, 1 << 20), { type: 'zstd', level }));
      execFileSync('zstd', ['-tq'], { input: one });
      assert.ok(execFileSync('zstd', ['-dcq'], { input: one, maxBuffer: 1 << 25 }).equals(input), `${size} bytes`);
      assert.ok(one.equals(await gathered(compress(pieces(input, 77_777), { type: 'zstd', level }))), `${size} bytes, cut otherwise`);
      assert.ok((await gathered(decompress(pieces(one, 5000)))).equals(input), `${size} bytes, read back`);
    }
  }
});

test('compressionOf() knows the levels of each type', () => {
  assert.deepEqual(compressionOf('gzip'), { type: 'gzip', level: 6 });
  assert.deepEqual(compressionOf('zstd', 0), { type: 'zstd', level: 3 });
  for (const [type, level] of [
    ['gzip', 10],
    ['zstd', 23],
    ['uncompressed', 1],
    ['gzip', -1],
    ['gzip', 1.5],
  ] as const) {
    assert.throws(() => compressionOf(type, level), { code: 'ERR_TSBUILD_USAGE' });
  }
});

test('packLayer() gives the same bytes with 1, 2 and 4 threads, and on one core', () => {
  const compiled = (name: string) => new URL(`../../src/layers/${name}.js`, import.meta.url).pathname;
  const script = `
    import { createHash } from 'node:crypto';
    import { COMPRESSIONS, compressionOf } from '${compiled('compress')}';
    import { packLayer } from '${compiled('pack-layer')}';
    const node = { type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, ctimeNs: 0n };
    const changes = Array.from({ length: 100 }, (_, i) => {
      const bytes = Buffer.alloc(i === 50 ? 9_000_000 : 200_000, 'content of file ' + i);
      return { kind: 'add', path: 'f' + i, node: { ...node, size: bytes.length }, xattrs: new Map(), content: { kind: 'bytes', bytes } };
    });
    for (const type of COMPRESSIONS) {
      const hash = createHash('sha256');
      const { diffId } = await packLayer(changes, { write: (chunk) => void hash.update(chunk) }, { compression: compressionOf(type) });
      console.log(type, hash.digest('hex'), diffId);
    }`;
  const run = (threads: string, before: readonly string[] = []) => {
    const [command = '', ...args] = [...before, process.execPath, '--input-type=module', '-e', script];
    return execFileSync(command, args, { encoding: 'utf8', env: { ...process.env, UV_THREADPOOL_SIZE: threads } });
  };
  const one = run('1');
  assert.equal(one.trim().split('\n').length, 4);
  for (const other of [run('2'), run('4'), run('4', ['taskset', '-c', '0'])]) assert.equal(other, one);
});

test('packLayer() packs 1 GiB in flat memory', async () => {
  const directory = temporaryDirectory();
  const { openSync } = await import('node:fs');
  const path = join(directory, 'sparse');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 30);
  const change: Change = {
    ...file('sparse', ''),
    node: { ...FILE, size: 2 ** 30 },
    content: { kind: 'file', open: () => openSync(path, 'r') },
  };
  const before = process.memoryUsage().rss;
  let peak = before;
  const packed = await packLayer(
    [change],
    { write() {} },
    {
      compression: { type: 'gzip', level: 1 },
      onProgress: () => {
        peak = Math.max(peak, process.memoryUsage().rss);
      },
    },
  );
  assert.equal(packed.tarSize, 2 ** 30 + 512 + 1024);
  assert.ok(peak - before < 200 * 2 ** 20, `${Math.round((peak - before) / 2 ** 20)} MiB more at the peak`);
});
