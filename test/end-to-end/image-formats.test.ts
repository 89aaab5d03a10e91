/** Attributes of outputs that are images: compression, media types, annotations, times. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry } from '../registry/_docker-registry.ts';
import { blob, documentOf, judgeLayout } from './_image-spec.ts';
import { makeUserWorld } from './_rootless.ts';
import { makeWorld, runCommand, type World } from './_world.ts';

interface Manifest {
  readonly mediaType: string;
  readonly config: { readonly mediaType: string; readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly mediaType: string; readonly annotations?: Record<string, string> }[];
  readonly annotations?: Record<string, string>;
}

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
const at = (name: string): string => path.join(world.directory, name);
const types = ({ layers }: Manifest): string[] => layers.map(({ mediaType }) => mediaType.replace(/^.*\.(tar|tar\.gzip)/, '$1'));
const DOCKERFILE =
  'FROM busybox\nRUN for i in $(seq 2000); do echo "line $i of a file"; done > /lines && rm /etc/group\nCOPY x /\nCMD ["cat", "/lines"]\n';

let count = 0;
/** Builds into a layout of its own. */
async function layoutOf(
  context: string,
  attributes: string,
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<{ layout: string; manifest: Manifest }> {
  const layout = at(`layout-${count++}`);
  await world.succeed(['build', ...flags, '-o', `type=oci,tar=false,dest=${layout}${attributes}`, context], { env });
  const [top] = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')).manifests;
  return { layout, manifest: documentOf(layout, top.digest) };
}

/** Of each layer, decompressed by a program that is not ours. */
function diffIds(layout: string, { layers }: Manifest): string[] {
  const programs: Record<string, string[]> = { tar: ['cat'], 'tar+gzip': ['gzip', '-dc'], 'tar+zstd': ['zstd', '-dcq'] };
  return layers.map(({ digest, mediaType }) => {
    const [program = '', ...args] = programs[mediaType.replace(/^.*\.tar/, 'tar')] ?? [];
    const plain = execFileSync(program, args, { input: blob(layout, digest), maxBuffer: 1 << 28 });
    return `sha256:${createHash('sha256').update(plain).digest('hex')}`;
  });
}

describe('build --output compression=', () => {
  test('makes layers that other programs read, each kind once, the same tree in all', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, x: 'x' });
    const kinds = [
      '',
      ',compression=gzip',
      ',compression=uncompressed',
      ',compression=zstd',
      ',compression=zstd,compression-level=19',
      ',compression=gzip,compression-level=1',
    ];
    const expected = ['tar+gzip', 'tar+gzip', 'tar', 'tar+zstd', 'tar+zstd', 'tar+gzip'];
    const configs = new Set<string>();
    const made = new Set<string>();
    for (const [i, kind] of kinds.entries()) {
      const { layout, manifest } = await layoutOf(context, `,name=app:1${kind}`);
      judgeLayout(layout);
      assert.deepEqual(types(manifest), ['tar+gzip', expected[i], expected[i]], 'the base image keeps its layer');
      assert.deepEqual(diffIds(layout, manifest), documentOf(layout, manifest.config.digest).rootfs.diff_ids);
      configs.add(manifest.config.digest);
      made.add(manifest.layers.at(1)?.digest ?? '');
      run('skopeo', 'copy', '--preserve-digests', `oci:${layout}:1`, `oci:${layout}-copied:1`);
      run('diff', '-r', path.join(layout, 'blobs'), path.join(`${layout}-copied`, 'blobs'));
    }
    assert.equal(configs.size, 1, 'the compression is no part of the config');
    assert.equal(made.size, 5);
  });

  test('packs a snapshot once for each form, and remembers it', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'once' });
    const outputs = ['gzip', 'zstd', 'gzip', 'zstd'].flatMap((kind, i) => ['-o', `type=oci,dest=${at(`${i}.tar`)},compression=${kind}`]);
    const packed = async (): Promise<number> => {
      const { stderr, code } = await world.tsbuild(['build', '--progress=json', ...outputs, '-o', 'type=image', context]);
      assert.equal(code, 0, stderr);
      return stderr.split('\n').filter((line) => /"action":"pack".*"state":"done"/.test(line)).length;
    };
    assert.equal(await packed(), 2);
    assert.equal(await packed(), 0);
    assert.ok(readFileSync(at('0.tar')).equals(readFileSync(at('2.tar'))));
  });

  test('estargz marks its layers in the manifest, and such images load and run', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, x: 'x' });
    const { layout, manifest } = await layoutOf(context, ',name=app:e,compression=estargz,force-compression=true');
    judgeLayout(layout);
    assert.deepEqual(types(manifest), ['tar+gzip', 'tar+gzip', 'tar+gzip']);
    assert.deepEqual(diffIds(layout, manifest), documentOf(layout, manifest.config.digest).rootfs.diff_ids);
    for (const { annotations = {} } of manifest.layers)
      assert.match(annotations['containerd.io/snapshot/stargz/toc.digest'] ?? '', /^sha256:/);
    run('umoci', 'unpack', '--image', `${layout}:e`, `${layout}-bundle`);
    assert.equal(readFileSync(path.join(`${layout}-bundle`, 'rootfs/lines'), 'utf8').split('\n').length, 2001);
    await world.succeed(['build', '-t', 'app:e', '-o', 'type=image,compression=estargz', context]);
    assert.match(await world.succeed(['run', 'app:e']), /line 2000 of a file/);
    const on = world.context({ Dockerfile: 'FROM base\nCOPY y /\n', y: 'y' });
    const above = await layoutOf(on, '', ['--build-context', `base=oci-layout://${layout}`]);
    assert.deepEqual(above.manifest.layers.slice(0, 3), manifest.layers, 'layers of a base keep their marks');
  });

  test('with force-compression=true compresses the base anew, and an image of it can be built on', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, x: 'x' });
    const { layout, manifest } = await layoutOf(context, ',compression=zstd,force-compression=true');
    assert.deepEqual(types(manifest), ['tar+zstd', 'tar+zstd', 'tar+zstd']);
    assert.deepEqual(diffIds(layout, manifest), documentOf(layout, manifest.config.digest).rootfs.diff_ids);
    await world.succeed(['build', '-t', 'zstd:1', '-o', 'type=image,compression=zstd,force-compression=true', context]);
    const fresh = world.context({
      Dockerfile: 'FROM base\nRUN test "$(wc -l < /lines)" = 2000\nCOPY y /\n',
      y: 'y',
    });
    await world.succeed(['build', '-t', 'on-zstd:1', '--build-context', `base=oci-layout://${layout}`, fresh], { root: at('another') });
    const { manifest: above } = JSON.parse(await world.succeed(['inspect', 'on-zstd:1'], { root: at('another') })) as {
      manifest: Manifest;
    };
    assert.deepEqual(types(above), ['tar+zstd', 'tar+zstd', 'tar+zstd', 'tar+gzip', 'tar+gzip']);
  });

  test('with force-compression=true believes no base image that lies about its layers', async () => {
    const { layout } = await layoutOf(world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'x' }), ',name=lying:1');
    const top = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8'));
    const put = (document: object): { digest: string; size: number } => {
      const bytes = Buffer.from(JSON.stringify(document));
      const hex = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(path.join(layout, 'blobs/sha256', hex), bytes);
      return { digest: `sha256:${hex}`, size: bytes.length };
    };
    const manifest = documentOf(layout, top.manifests[0].digest);
    const config = documentOf(layout, manifest.config.digest);
    config.rootfs.diff_ids = [`sha256:${'0'.repeat(64)}`];
    Object.assign(manifest.config, put(config));
    Object.assign(top.manifests[0], put(manifest));
    writeFileSync(path.join(layout, 'index.json'), JSON.stringify(top));
    const context = world.context({ Dockerfile: 'FROM base\nLABEL a=b\n' });
    const build = ['build', '--build-context', `base=oci-layout://${layout}`, '-o', 'type=image,compression=zstd,force-compression=true'];
    const { stderr } = await world.tsbuild([...build, context]);
    assert.match(stderr, /ERR_TSBUILD_DIGEST_MISMATCH: Cannot compress layer sha256:[a-f0-9]{64}: expected diffID sha256:0{64}/);
  });

  test('refuses what is no level, and what Docker has no media type for', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const refusals: [string, RegExp][] = [
      ['compression=bzip2', /not one of uncompressed, gzip, zstd, estargz/],
      ['compression=gzip,compression-level=10', /level of gzip: not from 0 to 9/],
      ['compression-level=x', /not a whole number/],
      ['compression=zstd,oci-mediatypes=false', /layers compressed with zstd with oci-mediatypes=false/],
      ['annotation.a=b,oci-mediatypes=false', /annotations with oci-mediatypes=false/],
      ['annotation-index.a=b', /has no index/],
      ['anotation.a=b', /no attribute "anotation.a"/],
      ['rewrite-timestamp=true', /no time to rewrite them to/],
      ['source-date-epoch=-1', /not a whole number/],
    ];
    for (const [attributes, message] of refusals) {
      const { code, stderr } = await world.tsbuild(['build', '-o', `type=image,${attributes}`, context], {
        env: { SOURCE_DATE_EPOCH: '' },
      });
      assert.match(stderr, message);
      assert.equal(code, 2);
    }
    const { code, stderr } = await world.tsbuild(['build', context], { env: { SOURCE_DATE_EPOCH: 'yesterday' } });
    assert.match(stderr, /"yesterday" as SOURCE_DATE_EPOCH/);
    assert.equal(code, 2);
  });
});

describe('build --output oci-mediatypes=false', () => {
  test("writes Docker's schema 2 alone, which skopeo takes from a registry", async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, x: 'x' });
    const { layout, manifest } = await layoutOf(context, ',name=app:1,oci-mediatypes=false');
    assert.equal(manifest.mediaType, 'application/vnd.docker.distribution.manifest.v2+json');
    assert.equal(manifest.config.mediaType, 'application/vnd.docker.container.image.v1+json');
    assert.deepEqual(new Set(types(manifest)), new Set(['tar.gzip']));
    await using registry = await startRegistry();
    const name = `${registry.host}/team/app`;
    const digest = await world.succeed(['build', '-o', `type=image,name=${name}:1,push=true,oci-mediatypes=false`, context]);
    run('skopeo', 'copy', '--preserve-digests', '--src-tls-verify=false', `docker://${name}:1`, `dir:${layout}-dir`);
    assert.ok(readFileSync(`${layout}-dir/manifest.json`).equals(blob(layout, digest)));
    const byDigest = await world.succeed(['build', '-o', `"type=image","name=${name}",push-by-digest=true`, context]);
    assert.equal(
      `${JSON.parse(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${name}@${byDigest}`)).schemaVersion}`,
      '2',
    );
    assert.deepEqual(JSON.parse(run('skopeo', 'list-tags', '--tls-verify=false', `docker://${name}`)).Tags, ['1']);
    const plain = await layoutOf(context, ',oci-mediatypes=false,compression=uncompressed,force-compression=true');
    assert.deepEqual(new Set(types(plain.manifest)), new Set(['tar']));
    const both = await layoutOf(world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'x' }), ',oci-mediatypes=false', [
      '--platform=linux/amd64,linux/arm64',
    ]);
    assert.equal(both.manifest.mediaType, 'application/vnd.docker.distribution.manifest.list.v2+json');
  });
});

describe('build --annotation', () => {
  test('annotates manifests, indexes and their descriptors, of the platform that is named', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'x' });
    const flags = ['--platform=linux/amd64,linux/arm64', '--annotation', 'all=1', '--annotation', 'manifest[linux/arm64],index:two=2'];
    const attributes = ',annotation-manifest-descriptor[linux/amd64].Three=3,annotation-index-descriptor.four=4,annotation.all=over';
    const { layout } = await layoutOf(context, `,name=app:1${attributes}`, flags);
    const [top] = judgeLayout(layout) as unknown as [{ digest: string; annotations: Record<string, string> }];
    assert.equal(top.annotations['four'], '4');
    const index = documentOf(layout, top.digest);
    assert.deepEqual(index.annotations, { two: '2' });
    assert.deepEqual(
      index.manifests.map((item: Manifest) => item.annotations),
      [{ Three: '3' }, undefined],
    );
    const manifests = index.manifests.map((item: { digest: string }) => documentOf(layout, item.digest).annotations);
    assert.deepEqual(manifests, [{ all: 'over' }, { all: 'over', two: '2' }]);
    const bad = await world.tsbuild(['build', '--annotation', 'manifests:a=b', context]);
    assert.match(bad.stderr, /"manifests" is not manifest, index/);
    const other = await world.tsbuild(['build', '--platform=linux/amd64', '--annotation', 'manifest[linux/arm64]:a=b', context]);
    assert.match(other.stderr, /linux\/arm64 is not built/);
  });
});

describe('SOURCE_DATE_EPOCH', () => {
  const EPOCH = '1600000000';
  const EPOCH_TIME = '2020-09-13T12:26:40Z';
  const FLAGS = ['-o', 'type=image,rewrite-timestamp=true'];

  test('is the time of config and history, and with rewrite-timestamp=true no file of a new layer is later', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE, x: 'x' });
    const times = (layout: string, digest: string): number[] =>
      execFileSync('sh', ['-c', 'gzip -dc | tar --full-time --utc -tvf - | awk \'{print $4"T"$5"Z"}\''], {
        input: blob(layout, digest),
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      })
        .trim()
        .split('\n')
        .map((time) => Date.parse(time) / 1000);
    const { layout, manifest } = await layoutOf(context, ',rewrite-timestamp=true', [], { SOURCE_DATE_EPOCH: EPOCH });
    const { created, history } = documentOf(layout, manifest.config.digest);
    assert.equal(created, EPOCH_TIME);
    assert.deepEqual(new Set(history.map((entry: { created: string }) => entry.created)), new Set([EPOCH_TIME]));
    const [base, ...own] = manifest.layers.map(({ digest }) => times(layout, digest));
    assert.ok(own.flat().every((time) => time <= Number(EPOCH)) && own.flat().length > 2);
    assert.ok(base?.includes(1_700_000_000), 'the base image is left alone');
    const plain = await layoutOf(context, '', ['--build-arg', 'SOURCE_DATE_EPOCH=0']);
    assert.equal(documentOf(plain.layout, plain.manifest.config.digest).created, '1970-01-01T00:00:00Z');
    assert.ok(times(plain.layout, plain.manifest.layers.at(1)?.digest ?? '').some((time) => time > 1_700_000_000));
    const named = await layoutOf(context, ',source-date-epoch=5', [], { SOURCE_DATE_EPOCH: EPOCH });
    assert.equal(documentOf(named.layout, named.manifest.config.digest).created, '1970-01-01T00:00:05Z');
  });

  test('J4 gives one image in two state directories, for root and an ordinary user, under two umasks and in two time zones', async () => {
    await using user = await makeUserWorld();
    const files = { x: 'x', 'd/e/y': 'y', 'd/z': 'z' };
    const dockerfile = `FROM busybox AS made
RUN mkdir -p /m/n && date > /dev/null && echo made > /m/n/o && chown 33:44 /m/n && umask > /m/umask
FROM busybox
ARG SOURCE_DATE_EPOCH
ENV E=1
WORKDIR /work/here
COPY --chown=7:8 d /d
ADD x /x
COPY --from=made /m /m
COPY --link x /linked/deep/x
RUN echo $SOURCE_DATE_EPOCH > /epoch; touch /now; rm -r /home/app; ln -s x /l
CMD ["true"]
`;
    const context = user.context({ Dockerfile: dockerfile, ...files });
    run('sh', '-c', 'chmod -R a+rX "$0" && find "$0" -exec touch -d @1650000000 {} +', context);
    const start = (shell: string): [string, string[]] => [
      'sh',
      ['-c', `${shell} && exec "$0" "$@"`, process.execPath, path.resolve('bin/tsbuild'), 'build', '--network=none', ...FLAGS, context],
    ];
    const byRoot = await runCommand(...start('umask 022'), {
      env: { ...process.env, TSBUILD_ROOT: world.root, SOURCE_DATE_EPOCH: EPOCH, TZ: 'America/New_York' },
    });
    const byUser = await user.asUser(...start('umask 077'), { env: { SOURCE_DATE_EPOCH: EPOCH, TZ: 'Asia/Tokyo' } });
    assert.match(byRoot.stdout, /^sha256:[a-f0-9]{64}\n$/, byRoot.stderr);
    assert.equal(byUser.stdout, byRoot.stdout, byUser.stderr);
  });

  test('is not needed for layers that no RUN made', async () => {
    await using other = await makeWorld();
    const context = world.context({ Dockerfile: 'FROM busybox\nWORKDIR /w\nCOPY d /d\nADD x /\nCOPY --link x /l/\n', x: 'x', 'd/y': 'y' });
    const layers = async (which: World): Promise<string[]> => {
      await which.succeed(['build', '-t', 'same:1', context]);
      return (JSON.parse(await which.succeed(['inspect', 'same:1'])) as { manifest: Manifest }).manifest.layers.map(({ digest }) => digest);
    };
    assert.deepEqual(await layers(world), await layers(other));
  });
});
