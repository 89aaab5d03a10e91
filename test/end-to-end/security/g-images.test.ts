/** Manifests, configs and layouts of attackers (security.md G): nothing of them is used that is not what its digest, size and type say. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { block, END, withBody } from '../../layers/_archives.ts';
import { type CommandResult, makeWorld, type World } from '../_world.ts';
import { type Descriptor, Layout, type Lies, TYPES } from './_layout.ts';

let world: World;
/** A layer of its own for each image: nothing is in the store yet, so everything is read and judged. */
let count = 0;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

function layer(): Buffer {
  return Buffer.concat([withBody({ name: 'file' }, Buffer.from(`content ${count++}`)), END]);
}

/** `FROM` the layout's image, and a copy out of it, so that layers are unpacked. */
async function from(layout: Layout, selector = ''): Promise<CommandResult> {
  const context = world.context({ Dockerfile: 'FROM scratch\nCOPY --from=base / /copy\n' });
  const result = await world.tsbuild(['--build-context', `base=oci-layout://${layout.directory}${selector}`, context]);
  assert.notEqual(result.code, 70, result.stderr);
  return result;
}

async function built(lies: Lies): Promise<CommandResult> {
  const layout = new Layout(world.directory);
  layout.image({ layers: [layer()], ...lies });
  return await from(layout);
}

async function refused(what: string, lies: Lies): Promise<void> {
  const { code, stderr } = await built(lies);
  assert.equal(code, 1, `${what}: ${stderr}`);
  assert.match(stderr, /ERR_TSBUILD_(IMAGE_INVALID|DIGEST_MISMATCH|IMAGE_NOT_FOUND|UNSUPPORTED|PLATFORM_NOT_FOUND|LAYER_INVALID)/, what);
}

test('an honest layout is taken', async () => {
  const { code, stderr } = await built({});
  assert.equal(code, 0, stderr);
});

test('G1 a document is a manifest or an index, as its descriptor and its media type say', async () => {
  const descriptor: Descriptor = { mediaType: TYPES.manifest, digest: `sha256:${'0'.repeat(64)}`, size: 2 };
  const both = { manifests: [descriptor] };
  const wrong: Record<string, Lies> = {
    'both sets': { manifest: (honest) => ({ ...honest, ...both }) },
    'both sets, no type': { manifest: ({ mediaType: _, ...honest }) => ({ ...honest, ...both }) },
    'an index in the place of a manifest': { manifest: () => ({ schemaVersion: 2, mediaType: TYPES.index, ...both }) },
    'a manifest in the place of an index': { entry: (honest) => ({ ...honest, mediaType: TYPES.index }) },
    'another type inside': { manifest: (honest) => ({ ...honest, mediaType: 'application/vnd.docker.distribution.manifest.v2+json' }) },
    'a type that nobody knows': { entry: (honest) => ({ ...honest, mediaType: 'application/json' }) },
    'schema 1': { manifest: (honest) => ({ ...honest, schemaVersion: 1 }) },
    'schema 1 with its layers': { manifest: () => ({ schemaVersion: 1, fsLayers: [], history: [] }) },
    'no schema': { manifest: ({ schemaVersion: _, ...honest }) => honest },
    'both in index.json': { index: (honest) => ({ ...honest, layers: [] }) },
    'a manifest as index.json': { index: () => ({ schemaVersion: 2, mediaType: TYPES.manifest, config: descriptor, layers: [] }) },
    'keys that differ by case': { manifest: (honest) => ({ ...honest, Layers: [] }) },
    'a key that comes twice': { manifest: (honest) => JSON.stringify(honest).replace('{', '{"layers":[],') },
    'a key __proto__': { manifest: (honest) => JSON.stringify(honest).replace('{', '{"__proto__":{"config":1},"layers":5,') },
    'a BOM': { manifest: (honest) => `\ufeff${JSON.stringify(honest)}` },
    'two documents': { manifest: (honest) => JSON.stringify(honest).repeat(2) },
    'a number beyond 2^53': { manifest: (honest) => JSON.stringify(honest).replace(/"size":\d+/, '"size":9007199254740993') },
    'a size that is a fraction': { manifest: (honest) => JSON.stringify(honest).replace(/"size":(\d+)/, '"size":$1.5') },
    'a deep nest': { manifest: (honest) => ({ ...honest, annotations: JSON.parse('['.repeat(500) + ']'.repeat(500)) }) },
    nothing: { manifest: () => '' },
    null: { manifest: () => 'null' },
    'a list': { manifest: () => '[]' },
    'a layer of another type': {
      manifest: (honest) => ({ ...honest, layers: [{ ...descriptor, mediaType: 'application/vnd.in-toto+json' }] }),
    },
    'a config of another type': {
      manifest: (honest) => ({ ...honest, config: { ...(honest['config'] as Descriptor), mediaType: TYPES.layer } }),
    },
  };
  for (const [what, lies] of Object.entries(wrong)) await refused(what, lies);
});

const DIGESTS = [
  ...[
    '',
    'sha256',
    'sha256:',
    ':',
    `sha256:${'0'.repeat(63)}`,
    `sha256:${'0'.repeat(65)}`,
    `SHA256:${'0'.repeat(64)}`,
    `sha256:${'A'.repeat(64)}`,
  ],
  ...[
    `sha256:${'g'.repeat(64)}`,
    `sha256: ${'0'.repeat(63)}`,
    `sha256:${'0'.repeat(64)}\n`,
    `sha256:${'0'.repeat(64)}\0`,
    `${'0'.repeat(64)}`,
  ],
  ...[
    'sha256:../../../../../../etc/passwd',
    '../../../etc/passwd',
    '/etc/passwd',
    'sha256:..',
    'sha256:.',
    `sha256:${'/'.repeat(64)}`,
    'sha256/x',
  ],
  ...[
    `sha512:${'0'.repeat(64)}`,
    `md5:${'0'.repeat(32)}`,
    'sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564',
    `blake3:${'0'.repeat(64)}`,
  ],
  ...[
    `sha256:${'0'.repeat(64)}?x=1`,
    `sha256:${'0'.repeat(64)}#x`,
    `sha256:${'%30'.repeat(21)}0`,
    `sha256:${'٠'.repeat(64)}`,
    'sha256:\u001b[2J',
    '__proto__',
  ],
];

test('G2 what is no digest is no path and no address, wherever it stands', async () => {
  for (const digest of DIGESTS) {
    const what = JSON.stringify(digest);
    await Promise.all([
      refused(`entry ${what}`, { entry: (honest) => ({ ...honest, digest }) }),
      refused(`layer ${what}`, { manifest: (honest) => ({ ...honest, layers: [{ mediaType: TYPES.layer, digest, size: 1 }] }) }),
      refused(`diffID ${what}`, { config: (honest) => ({ ...honest, rootfs: { type: 'layers', diff_ids: [digest] } }) }),
    ]);
  }
  for (const digest of DIGESTS.filter((each) => !/[\n\0\s#?]/.test(each))) {
    const { code, stderr } = await world.tsbuild([world.context({ Dockerfile: `FROM localhost:1/x@${digest}\n` })]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ERR_TSBUILD_(REFERENCE_INVALID|DOCKERFILE_SYNTAX)/, digest);
  }
});

describe('G3 G4 what differs from its digest or size', () => {
  const corruptions: Record<string, (bytes: Buffer) => Buffer> = {
    'a blank before it': (bytes) => Buffer.concat([Buffer.from(' '), bytes]),
    'a NUL after it': (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]),
    'a byte less': (bytes) => bytes.subarray(0, -1),
    'a bit flipped': (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]),
    'compressed once more': (bytes) => gzipSync(bytes),
    nothing: () => Buffer.alloc(0),
  };

  test('G3 is refused, be it manifest, config or layer, and never kept', async () => {
    for (const [what, corrupt] of Object.entries(corruptions)) {
      for (const kind of ['manifest', 'config', 'layer'] as const) {
        const layout = new Layout(world.directory);
        const made = layout.image({ layers: [layer()] });
        const manifest = JSON.parse(readFileSync(layout.file(made.digest), 'utf8')) as { config: Descriptor; layers: Descriptor[] };
        const { digest } = { manifest: made, config: manifest.config, layer: manifest.layers[0] as Descriptor }[kind];
        writeFileSync(layout.file(digest), corrupt(readFileSync(layout.file(digest))));
        const { code, stderr } = await from(layout);
        assert.equal(code, 1, `${kind} with ${what}: ${stderr}`);
        assert.match(stderr, /ERR_TSBUILD_DIGEST_MISMATCH/, `${kind} with ${what}`);
        const kept = execFileSync('find', [world.root, '-name', `${digest.slice('sha256:'.length)}*`], { encoding: 'utf8' });
        assert.equal(kept, '', `${kind} with ${what}`);
      }
    }
  });

  test('G3 sizes count as much as digests', async () => {
    for (const size of [0, 1, -1, 2 ** 31, 2 ** 53 - 1, 1e300, '5', null, 1.5]) {
      const lied = { size } as unknown as Descriptor;
      await refused(`entry of ${size}`, { entry: (honest) => ({ ...honest, ...lied }) });
      await refused(`layer of ${size}`, {
        manifest: (honest) => ({ ...honest, layers: (honest['layers'] as Descriptor[]).map((each) => ({ ...each, ...lied })) }),
      });
      await refused(`config of ${size}`, {
        manifest: (honest) => ({ ...honest, config: { ...(honest['config'] as Descriptor), ...lied } }),
      });
    }
  });

  test('G4 a config lists the diffIDs of its layers, all of them, in their order', async () => {
    const ids = (change: (ids: string[]) => string[]): Lies => ({
      layers: [layer(), layer()],
      config: (honest) => {
        const rootfs = honest['rootfs'] as { diff_ids: string[] };
        return { ...honest, rootfs: { ...rootfs, diff_ids: change(rootfs.diff_ids) } };
      },
    });
    await refused(
      'swapped',
      ids((all) => all.toReversed?.() ?? [...all].reverse()),
    );
    await refused(
      'one twice',
      ids(([first = '']) => [first, first]),
    );
    await refused(
      'one less',
      ids(([first = '']) => [first]),
    );
    await refused(
      'one more',
      ids((all) => [...all, `sha256:${'0'.repeat(64)}`]),
    );
    await refused(
      'none',
      ids(() => []),
    );
    await refused(
      'of the compressed bytes',
      ids((all) => all.map(() => `sha256:${'1'.repeat(64)}`)),
    );
  });
});

test('G5 blobs are files of the layout itself, and indexes end', async () => {
  const place = path.join(world.directory, 'elsewhere');
  const away = (file: string): string => {
    rmSync(place, { recursive: true, force: true });
    renameSync(file, place);
    return file;
  };
  const tricks: Record<string, (file: string) => void> = {
    'a link': (file) => symlinkSync(place, away(file)),
    'a fifo': (file) => execFileSync('mkfifo', [away(file)]),
    'a directory': (file) => mkdirSync(away(file)),
    'a device': (file) => execFileSync('mknod', [away(file), 'c', '1', '5']),
    'in a linked directory': (file) => symlinkSync(place, away(path.dirname(file))),
    'below a linked directory': (file) => symlinkSync(place, away(path.dirname(path.dirname(file)))),
  };
  for (const [what, trick] of Object.entries(tricks)) {
    const layout = new Layout(world.directory);
    const made = layout.image({ layers: [layer()] });
    const { layers } = JSON.parse(readFileSync(layout.file(made.digest), 'utf8')) as { layers: Descriptor[] };
    trick(layout.file(layers[0]?.digest ?? ''));
    const { code, stderr } = await from(layout);
    assert.equal(code, 1, `${what}: ${stderr}`);
    assert.match(stderr, /ERR_TSBUILD_IMAGE_INVALID/, what);
  }
  const huge = new Layout(world.directory);
  huge.image({});
  truncateSync(path.join(huge.directory, 'index.json'), 2 ** 30);
  assert.match((await from(huge)).stderr, /ERR_TSBUILD_IMAGE_INVALID/);
  const deep = new Layout(world.directory);
  let entry = deep.image({ layers: [layer()] });
  for (let depth = 0; depth < 100; depth++) entry = deep.put({ schemaVersion: 2, mediaType: TYPES.index, manifests: [entry] }, TYPES.index);
  deep.writeIndex({ schemaVersion: 2, mediaType: TYPES.index, manifests: [entry] });
  assert.match((await from(deep)).stderr, /nests deeper than/);
});

test('G6 no address of a descriptor is asked', async () => {
  const urls = ['http://169.254.169.254/x', 'file:///etc/passwd', 'http://127.0.0.1:1/'];
  const lies: Lies = {
    manifest: (honest) => ({ ...honest, layers: (honest['layers'] as Descriptor[]).map((each) => ({ ...each, urls })) }),
  };
  const trace = path.join(world.directory, 'trace');
  const layout = new Layout(world.directory);
  layout.image({ layers: [layer()], ...lies });
  const context = world.context({ Dockerfile: 'FROM scratch\nCOPY --from=base / /\n' });
  const args = [path.resolve('bin/tsbuild'), '--root', world.root, '--build-context', `base=oci-layout://${layout.directory}`, context];
  execFileSync('strace', ['-f', '-qq', '-e', 'trace=connect,sendto', '-o', trace, process.execPath, ...args], { stdio: 'pipe' });
  assert.doesNotMatch(readFileSync(trace, 'utf8'), /AF_INET/);
  const missing = new Layout(world.directory);
  missing.image({ layers: [layer()], ...lies });
  const manifest = JSON.parse(readFileSync(path.join(missing.directory, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
  const { layers } = JSON.parse(readFileSync(missing.file(manifest.manifests[0]?.digest ?? ''), 'utf8')) as { layers: Descriptor[] };
  rmSync(missing.file(layers[0]?.digest ?? ''));
  assert.match((await from(missing)).stderr, /ERR_TSBUILD_IMAGE_INVALID.*ENOENT/);
});

test('G8 labels and annotations of a base steer nothing', async () => {
  const names = [
    'tsbuild.network',
    'moby.buildkit.cache.v0',
    'io.buildah.version',
    'containerd.io/uncompressed',
    'com.docker.security.privileged',
  ];
  const evil = Object.fromEntries(names.map((name) => [name, 'host']));
  const steered = layer();
  const steps = async (lies: Lies): Promise<string[]> => {
    const layout = new Layout(world.directory);
    layout.image({ layers: [steered], ...lies });
    const Dockerfile = 'FROM base\nCOPY --from=busybox / /\nRUN id; cat /proc/self/status | grep -E "Cap|Seccomp"; ls /sys/class/net\n';
    const args = [
      '--no-cache',
      '--progress=plain',
      '--build-context',
      `base=oci-layout://${layout.directory}`,
      world.context({ Dockerfile }),
    ];
    const { code, stderr } = await world.tsbuild(args);
    assert.equal(code, 0, stderr);
    return stderr.split('\n').flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
  };
  const labelled = await steps({
    config: (honest) => ({ ...honest, config: { Env: ['PATH=/bin'], Labels: evil } }),
    manifest: (honest) => ({ ...honest, annotations: evil }),
    entry: (honest) => ({ ...honest, annotations: evil }),
  });
  assert.deepEqual(labelled, await steps({}));
  assert.ok(labelled.length > 5, labelled.join('\n'));
});

test('G11 an image is of the platform that was asked for, or that is said', async () => {
  const index = (platform: object): Lies => ({ entry: (honest) => ({ ...honest, platform }) });
  const here = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const other = here === 'amd64' ? 'arm64' : 'amd64';
  assert.equal((await built(index({ os: 'linux', architecture: here }))).code, 0);
  for (const platform of [
    { os: 'windows', architecture: here },
    { os: 'unknown', architecture: 'unknown' },
    { os: 'linux', architecture: other },
  ]) {
    const layout = new Layout(world.directory);
    const manifest = layout.image({ layers: [layer()] });
    const nested = layout.put({ schemaVersion: 2, mediaType: TYPES.index, manifests: [{ ...manifest, platform }] }, TYPES.index);
    layout.writeIndex({ schemaVersion: 2, mediaType: TYPES.index, manifests: [nested] });
    const { code, stderr } = await from(layout);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ERR_TSBUILD_PLATFORM_NOT_FOUND/);
  }
  for (const config of [{ architecture: other }, { os: 'windows' }, { architecture: '' }, { os: 5 }, { variant: {} }]) {
    const { code, stderr } = await built({ ...index({ os: 'linux', architecture: here }), config: (honest) => ({ ...honest, ...config }) });
    assert.ok(code === 1 || /InvalidBaseImagePlatform|platform/.test(stderr), `${JSON.stringify(config)}: ${stderr}`);
  }
});

test('G12 a syntax line runs nothing and asks for nothing', async () => {
  for (const syntax of ['attacker/x', 'localhost:1/frontend:1', 'docker/dockerfile:1', '../../x', 'docker/dockerfile-upstream@sha256:0']) {
    const trace = path.join(world.directory, 'trace');
    const context = world.context({ Dockerfile: `# syntax=${syntax}\nFROM busybox\nRUN true\n` });
    const args = [path.resolve('bin/tsbuild'), '--root', world.root, '--network=none', context];
    execFileSync('strace', ['-f', '-qq', '-e', 'trace=connect', '-o', trace, process.execPath, ...args], { stdio: 'pipe' });
    assert.doesNotMatch(readFileSync(trace, 'utf8'), /AF_INET/, syntax);
  }
});

test('a layer of a link in place of the root is none', async () => {
  await refused('link', { layers: [Buffer.concat([block({ name: './', type: '2', link: '/etc' }), END])] });
});
