/** `tsbuild manifest` with two real registries and skopeo as the judge. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf, hexOf } from '../../src/oci/digest.ts';
import type { ImageIndex } from '../../src/oci/manifest.ts';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { blobOf, chunked, makeImage, openTestClient, pushImage, refOf } from '../registry/_images.ts';
import { type FaultProxy, startFaultProxy } from '../registry/fault-proxy.ts';
import { emptyWorld, runCommand, type World } from './_world.ts';

let world: World;
let [first, second]: TestRegistry[] = [];
/** In front of the first. */
let proxy: FaultProxy;
const at = (rest: string): string => `${proxy.host}/${rest}`;
const elsewhere = (rest: string): string => `${second?.host}/${rest}`;
/** Not as execFileSync: the proxy is in this process. */
async function skopeo(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand('skopeo', args);
  assert.equal(code, 0, stderr);
  return stdout;
}
const rawOf = (name: string): Promise<string> => skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`);
const parse = (text: string): ImageIndex => JSON.parse(text) as ImageIndex;
const platforms = ({ manifests }: ImageIndex): string[] =>
  manifests.map(({ platform }) => (platform ? `${platform.os}/${platform.architecture}` : '-'));
const raw = async (name: string): Promise<ImageIndex> => parse(await world.succeed(['manifest', 'inspect', '--raw', name]));
const inStore = (digest: string): boolean => existsSync(path.join(world.root, 'blobs/sha256', digest.slice('sha256:'.length)));

before(async () => {
  world = emptyWorld();
  [first, second] = [await startRegistry(), await startRegistry()];
  proxy = await startFaultProxy(first.port);
  await using client = openTestClient();
  for (const arch of ['amd64', 'arm64', 's390x']) await pushImage(client, refOf(proxy.host, `parts/${arch}:1`), makeImage(arch));
  for (const arch of ['amd64', 'arm64']) {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: arch });
    await world.succeed(['--platform', `linux/${arch}`, '-t', `app:${arch}`, context]);
  }
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  for (const registry of [first, second]) await registry?.stop();
  await world[Symbol.asyncDispose]();
});

/** All of it, as skopeo reads it, each blob with its digest. */
async function copyAll(name: string): Promise<string> {
  const directory = mkdtempSync(path.join(world.directory, 'copy-'));
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${name}`, `dir:${directory}`);
  return directory;
}

describe('tsbuild manifest create and push', () => {
  test('makes an index of images of the store, which skopeo reads whole from the registry that it was pushed to', async () => {
    const digest = await world.succeed(['manifest', 'create', 'app:1', 'app:amd64', 'app:arm64']);
    const index = await raw('app:1');
    assert.deepEqual([index.mediaType, platforms(index)], [MEDIA_TYPE.index, ['linux/amd64', 'linux/arm64']]);
    assert.equal(await world.succeed(['manifest', 'push', 'app:1', at('made/app:1')]), digest);
    assert.equal(digestOf(await rawOf(at('made/app:1'))), digest);
    await copyAll(at('made/app:1'));
  });

  test('takes images of a registry without their layers, mounts these in the same registry, and passes them on to another', async () => {
    const [, layer] = makeImage().blobs;
    assert.ok(layer !== undefined);
    const digest = await world.succeed(['manifest', 'create', at('joined/app:1'), at('parts/amd64:1'), at('parts/arm64:1')]);
    assert.equal(inStore(layer.descriptor.digest), false);
    proxy.reset();
    assert.equal(await world.succeed(['manifest', 'push', at('joined/app:1')]), digest);
    const uploads = proxy.requests.filter(({ path: asked }) => asked.includes('/blobs/uploads/'));
    assert.ok(
      uploads.length > 0 && uploads.every(({ method, path: asked }) => method === 'POST' && asked.includes('?mount=')),
      JSON.stringify(uploads),
    );
    await copyAll(at('joined/app:1'));
    await world.succeed(['manifest', 'push', at('joined/app:1'), elsewhere('other/app:1')]);
    assert.equal(inStore(layer.descriptor.digest), false);
    assert.equal(digestOf(await rawOf(elsewhere('other/app:1'))), digest);
    await copyAll(elsewhere('other/app:1'));
    // What is used here is fetched from where it is.
    await world.succeed(['manifest', 'create', elsewhere('unpushed/app:1'), at('parts/s390x:1')]);
    const context = world.context({ Dockerfile: `FROM --platform=linux/s390x ${elsewhere('unpushed/app:1')}\n` });
    await world.succeed(['-t', 'used:1', context]);
    await world.succeed(['save', '-o', path.join(world.directory, 'used.tar'), 'used:1']);
  });

  test('opens indexes, adds to what is there, and takes each manifest once', async () => {
    await world.succeed(['manifest', 'create', at('many/app:1'), at('parts/amd64:1')]);
    await world.succeed(['manifest', 'push', at('many/app:1')]);
    await world.succeed(['rmi', at('many/app:1')]);
    // The name is an index of the registry now, and of the store no more.
    await world.succeed(['manifest', 'create', '--append', at('many/app:1'), at('parts/arm64:1'), at('parts/amd64:1')]);
    assert.deepEqual(platforms(await raw(at('many/app:1'))), ['linux/amd64', 'linux/arm64']);
    await world.succeed(['manifest', 'create', '-t', 'nested:1', '-t', 'nested:2', at('many/app:1'), at('parts/s390x:1')]);
    for (const name of ['nested:1', 'nested:2'])
      assert.deepEqual(platforms(await raw(name)), ['linux/amd64', 'linux/arm64', 'linux/s390x']);
    await world.succeed(['manifest', 'create', 'chosen:1', '--platform', 'linux/arm64,linux/s390x', 'nested:1']);
    assert.deepEqual(platforms(await raw('chosen:1')), ['linux/arm64', 'linux/s390x']);
  });

  test('keeps attestations of what it takes, and versions of Windows', async () => {
    const [image, other] = [makeImage('amd64'), makeImage('arm64')];
    await using client = openTestClient();
    const attest = async (subject: Descriptor): Promise<Descriptor> => {
      const statement = Buffer.from(JSON.stringify({ about: subject.digest }));
      const config = Buffer.from(
        JSON.stringify({ architecture: 'unknown', os: 'unknown', rootfs: { type: 'layers', diff_ids: [digestOf(statement)] } }),
      );
      const [layer, described] = [blobOf(statement, 'application/vnd.in-toto+json'), blobOf(config, MEDIA_TYPE.config)];
      const reference = refOf(proxy.host, 'attested/app:1');
      await client.pushBlob(reference, layer, () => chunked(statement), []);
      await client.pushBlob(reference, described, () => chunked(config), []);
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config: described, layers: [layer] }));
      await client.pushManifest({ registry: reference.registry, repository: reference.repository }, bytes, MEDIA_TYPE.manifest);
      const annotations = { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': subject.digest };
      return { ...blobOf(bytes, MEDIA_TYPE.manifest), platform: { os: 'unknown', architecture: 'unknown' }, annotations };
    };
    for (const each of [image, other]) await pushImage(client, refOf(proxy.host, 'attested/app:parts'), each);
    const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.1', 'os.features': ['win32k'] };
    const manifests = [
      { ...image.descriptor, platform: windows },
      { ...other.descriptor, platform: { os: 'linux', architecture: 'arm64' } },
      await attest(image.descriptor),
      await attest(other.descriptor),
    ];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }));
    await client.pushManifest(refOf(proxy.host, 'attested/app:1'), bytes, MEDIA_TYPE.index);
    await world.succeed(['manifest', 'create', 'attested:1', at('attested/app:1')]);
    assert.deepEqual((await raw('attested:1')).manifests, JSON.parse(JSON.stringify(manifests)));
    await world.succeed(['manifest', 'create', 'attested:2', '--platform', 'linux/arm64', at('attested/app:1')]);
    assert.deepEqual(
      (await raw('attested:2')).manifests.map(({ digest }) => digest),
      [manifests[1]?.digest, manifests[3]?.digest],
    );
    await world.succeed(['manifest', 'push', 'attested:1', elsewhere('attested/app:1')]);
    assert.equal(parse(await rawOf(elsewhere('attested/app:1'))).manifests.length, 4);
  });

  test('annotates the index and its entries, shows what it would make, and reads sources from files', async () => {
    const annotations = ['--annotation', 'a=1', '--annotation', 'index:b=2', '--annotation', 'manifest-descriptor[linux/arm64]:c=3'];
    const shown = await world.succeed([
      'manifest',
      'create',
      '--dry-run',
      ...annotations,
      'dry:1',
      at('parts/amd64:1'),
      at('parts/arm64:1'),
    ]);
    const index = parse(shown);
    assert.deepEqual([index.annotations, index.manifests.map((each) => each.annotations)], [{ a: '1', b: '2' }, [undefined, { c: '3' }]]);
    assert.equal((await world.tsbuild(['inspect', 'dry:1'])).code, 1);
    const { descriptor } = makeImage('s390x');
    const files = [
      JSON.stringify({ ...descriptor, platform: { os: 'linux', architecture: 's390x' }, annotations: { d: '4' } }),
      `${at('parts/amd64:1')}\n`,
    ].map((text, position) => {
      const file = path.join(world.directory, `source-${position}`);
      writeFileSync(file, text);
      return ['-f', file];
    });
    // The digest alone is looked for in the repository of the first name.
    await world.succeed(['manifest', 'create', ...files.flat(), at('parts/s390x:2'), makeImage('s390x').descriptor.digest]);
    const made = await raw(at('parts/s390x:2'));
    assert.deepEqual([platforms(made), made.manifests[0]?.annotations], [['linux/s390x', 'linux/amd64'], { d: '4' }]);
  });

  test("makes an index of Docker's kind of Docker's manifests, unless it has annotations", async () => {
    for (const arch of ['amd64', 'arm64']) {
      await skopeo(
        'copy',
        '--format=v2s2',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        `docker://${at(`parts/${arch}:1`)}`,
        `docker://${at(`docker/${arch}:1`)}`,
      );
    }
    const sources = [at('docker/amd64:1'), at('docker/arm64:1')];
    await world.succeed(['manifest', 'create', at('docker/app:1'), ...sources]);
    assert.equal((await raw(at('docker/app:1'))).mediaType, MEDIA_TYPE.dockerManifestList);
    await world.succeed(['manifest', 'push', at('docker/app:1')]);
    await copyAll(at('docker/app:1'));
    await world.succeed(['manifest', 'create', '--annotation', 'a=1', at('docker/app:2'), ...sources]);
    assert.equal((await raw(at('docker/app:2'))).mediaType, MEDIA_TYPE.index);
  });

  test('says what is wrong, and warns of two images for one platform', async () => {
    const absent = `sha256:${'0'.repeat(64)}`;
    const cases: [string[], number, RegExp][] = [
      [['create'], 2, /^ERR_TSBUILD_USAGE: Cannot make an index: it has no name/],
      [['create', 'x:1'], 2, /^ERR_TSBUILD_USAGE: Cannot make an index: no image is named/],
      [['create', `x@${absent}`, 'app:amd64'], 1, /^ERR_TSBUILD_REFERENCE_INVALID/],
      [['create', 'x:1', at('parts/none:1')], 1, /^ERR_TSBUILD_REGISTRY_NOT_FOUND: Cannot pull/],
      [['create', at('parts/x:1'), absent], 1, /^ERR_TSBUILD_REGISTRY_NOT_FOUND: Cannot pull .*@sha256:0/],
      [['create', 'x:1', '--platform', 'linux/riscv64', 'app:amd64'], 1, /^ERR_TSBUILD_PLATFORM_NOT_FOUND: .*\n.*There are linux\/amd64/],
      [['create', 'x:1', '--annotation', 'manifest:a=b', 'app:amd64'], 2, /^ERR_TSBUILD_USAGE: Cannot annotate the manifest of an index/],
      [['create', 'x:1', '{"mediaType": "a/b"}'], 2, /^ERR_TSBUILD_USAGE: Cannot use/],
      [['create', 'x:1', '-f', '/nonexistent'], 2, /^ERR_TSBUILD_USAGE: Cannot read the source \/nonexistent: ENOENT/],
      [['push', 'nothing:1'], 1, /^ERR_TSBUILD_IMAGE_NOT_FOUND/],
      [['inspect', absent], 1, /^ERR_TSBUILD_IMAGE_NOT_FOUND: .*\n.*write repository@digest/],
    ];
    for (const [args, code, message] of cases) {
      const result = await world.tsbuild(['manifest', ...args]);
      assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
      assert.match(result.stderr, message);
      assert.equal(result.stdout, '');
    }
    assert.equal((await world.tsbuild(['inspect', 'x:1'])).code, 1);
    const doubled = await world.tsbuild(['manifest', 'create', 'doubled:1', 'app:amd64', at('parts/amd64:1')]);
    assert.deepEqual([doubled.code, /Several images are for linux\/amd64/.test(doubled.stderr)], [0, true]);
  });
});

describe('tsbuild manifest inspect', () => {
  test('shows an index of a registry byte for byte, as a table and as JSON', async () => {
    await world.succeed(['manifest', 'create', at('seen/app:1'), '--annotation', 'a=b', at('parts/amd64:1'), at('parts/arm64:1')]);
    await world.succeed(['manifest', 'push', at('seen/app:1')]);
    const { stdout } = await world.tsbuild(['manifest', 'inspect', '--raw', '--remote', at('seen/app:1')]);
    assert.equal(stdout, await rawOf(at('seen/app:1')));
    for (const [flags, from] of [
      [[], 'the local store'],
      [['--remote'], 'its registry'],
    ] as const) {
      const table = await world.succeed(['manifest', 'inspect', ...flags, at('seen/app:1')]);
      assert.match(
        table,
        new RegExp(
          `^Name: +${at('seen/app:1')}\nFrom: +${from}\nMedia type: +${MEDIA_TYPE.index.replaceAll('+', '\\+')}\nDigest: +${digestOf(stdout)}\nAnnotations: +a=b\n\n`,
        ),
      );
      assert.match(table, /\nPLATFORM +DIGEST +SIZE\nlinux\/amd64 +sha256:[a-f0-9]{64} +[0-9.]+ ?k?B\nlinux\/arm64 /);
    }
    const json = JSON.parse(await world.succeed(['manifest', 'inspect', '--format', 'json', '--remote', at('seen/app:1')])) as Record<
      string,
      unknown
    >;
    assert.deepEqual(
      [json['from'], (json['entries'] as { totalSize: number }[]).every(({ totalSize }) => totalSize > 400)],
      ['registry', true],
    );
  });

  test('shows one manifest with its layers and its platform', async () => {
    const table = await world.succeed(['manifest', 'inspect', at('parts/s390x:1')]);
    assert.match(table, /\nlinux\/s390x +sha256:.*\n\nLAYER +SIZE +MEDIA TYPE\nsha256:/);
  });

  test('lists what refers to it', async () => {
    await using client = openTestClient();
    const { descriptor } = makeImage('amd64');
    const name = at('parts/amd64:1');
    assert.match(await world.succeed(['manifest', 'inspect', '--referrers', '--remote', name]), /\nReferrers: none, as a tag lists them/);
    const config = Buffer.from('{}');
    const empty = blobOf(config, 'application/vnd.oci.empty.v1+json');
    const reference = { registry: proxy.host, repository: 'parts/amd64' };
    await client.pushBlob(reference, empty, () => chunked(config), []);
    const artifactType = 'application/vnd.example.signature';
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.manifest,
      artifactType,
      config: empty,
      layers: [empty],
      subject: descriptor,
    };
    const bytes = Buffer.from(JSON.stringify(manifest));
    await client.pushManifest(reference, bytes, MEDIA_TYPE.manifest);
    const shown = await world.succeed(['manifest', 'inspect', '--remote', name, '--referrers', '--artifact-type', artifactType]);
    assert.match(
      shown,
      new RegExp(`\nReferrers, as a tag lists them.*\nARTIFACT TYPE .*\n${artifactType} +sha256:${hexOf(digestOf(bytes))} `),
    );
    assert.match(
      await world.succeed(['manifest', 'inspect', '--remote', name, '--referrers', '--artifact-type=application/x.other']),
      /\nReferrers: none/,
    );
    const artifact = await world.succeed(['manifest', 'inspect', `${at('parts/amd64')}@${digestOf(bytes)}`]);
    assert.match(artifact, new RegExp(`\nArtifact type: +${artifactType}\nSubject: +${descriptor.digest}\n`));
    assert.ok(readFileSync(path.join(await copyAll(name), 'manifest.json')).equals(makeImage('amd64').bytes));
  });
});
