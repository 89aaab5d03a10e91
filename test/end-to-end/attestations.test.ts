/** `--provenance` and its kin: what lies beside an image, and what the programs that read such images make of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { git, makeRepository, serveGit } from './_git.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
let registry: TestRegistry;
let web: Server;
let base = '';
before(async () => {
  world = await makeWorld();
  registry = await startRegistry();
  web = createServer((_, response) => response.end('fetched'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  base = `127.0.0.1:${(web.address() as AddressInfo).port}`;
});
after(async () => {
  web.close();
  await registry.stop();
  await world[Symbol.asyncDispose]();
});

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
const at = (...names: string[]): string => path.join(world.directory, ...names);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

// biome-ignore lint/suspicious/noExplicitAny: whatever a predicate holds
type Json = any;
const attested = async (name: string, field: string, root?: string): Promise<Json> =>
  JSON.parse(await world.succeed(['attestations', name, '--format', `{{json .${field}}}`], root === undefined ? {} : { root }));

describe('build --provenance', () => {
  test('pushes an index that skopeo and podman take the image of, and whose attestations another machine reads', async () => {
    const name = `${registry.host}/app:1`;
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY x /x\nCMD ["cat", "/x"]\n', x: 'attested\n' });
    const digest = await world.succeed(['build', '--provenance=mode=max', '-t', name, '--push', context]);
    const index = JSON.parse(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${name}`));
    assert.equal(`sha256:${sha256(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${name}`))}`, digest);
    const [image, attestation] = index.manifests;
    assert.deepEqual(attestation.platform, { architecture: 'unknown', os: 'unknown' });
    assert.deepEqual(attestation.annotations, {
      'vnd.docker.reference.digest': image.digest,
      'vnd.docker.reference.type': 'attestation-manifest',
    });
    const raw = JSON.parse(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/app@${attestation.digest}`));
    assert.equal(raw.layers[0].mediaType, 'application/vnd.in-toto+json');
    run('skopeo', 'copy', '--src-tls-verify=false', `docker://${name}`, `oci:${at('single')}:1`);
    run('umoci', 'unpack', '--image', `${at('single')}:1`, at('bundle'));
    assert.equal(readFileSync(at('bundle/rootfs/x'), 'utf8'), 'attested\n');
    const elsewhere = at('elsewhere');
    const [told] = JSON.parse(await world.succeed(['attestations', name], { root: elsewhere }));
    assert.deepEqual(told.statements[0].subject, [
      { name: `pkg:docker/${registry.host}/app@1?platform=linux%2Famd64`, digest: { sha256: image.digest.slice(7) } },
    ]);
    assert.equal(await world.succeed(['run', name], { root: elsewhere }), 'attested');
    assert.match(await world.succeed(['images'], { root: elsewhere }), /app:1/);
    assert.equal((await attested(name, 'Provenance.SLSA', elsewhere)).metadata.completeness.parameters, true);
    const again = await world.tsbuild(['push', '--progress=plain', name], { root: elsewhere });
    assert.equal(again.stdout.trim(), image.digest, 'it was pulled without what lies beside it');
    assert.match(again.stderr, /WARNING: The store has only a part of/);
    await world.succeed(['push', name]);
    const { size, platforms } = JSON.parse(await world.succeed(['inspect', name]));
    assert.ok(size > 0);
    assert.deepEqual(platforms, [{ os: 'linux', architecture: 'amd64' }], 'an attestation is no platform');
  });

  test('comes along with a pull, so that a push of it is the same index; a registry that lacks it is no reason to fail', async () => {
    const name = `${registry.host}/mirror:1`;
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY x /x\n', x: 'mirrored' });
    const digest = await world.succeed(['build', '--provenance', '-t', name, '--push', context]);
    const elsewhere = at('mirror');
    assert.equal(await world.succeed(['pull', name], { root: elsewhere }), digest);
    const copy = `${registry.host}/copy:1`;
    await world.succeed(['tag', name, copy], { root: elsewhere });
    assert.equal(await world.succeed(['push', copy], { root: elsewhere }), digest);
    run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/copy@${digest}`);
    const { manifests } = JSON.parse(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${name}`));
    const gone = await fetch(`http://${registry.host}/v2/mirror/manifests/${manifests[1].digest}`, { method: 'DELETE' });
    assert.equal(gone.status, 202);
    assert.equal(await world.succeed(['pull', name], { root: at('mirror-2') }), digest);
    assert.equal(await world.succeed(['run', name, 'cat', '/x'], { root: at('mirror-2') }), 'mirrored');
    const none = await world.tsbuild(['attestations', name], { root: at('mirror-2') });
    assert.match(none.stderr, /ERR_TSBUILD_REGISTRY_NOT_FOUND/);
  });

  test('is loaded by podman, from an OCI archive and from what tsbuild saves', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCMD ["true"]\n' });
    await world.succeed([
      'build',
      '--provenance',
      '-t',
      'localhost/att:1',
      '-o',
      'type=image',
      '-o',
      `type=oci,dest=${at('p.tar')}`,
      context,
    ]);
    await world.succeed(['save', '-o', at('s.tar'), 'localhost/att:1']);
    const podman = ['--root', at('podman'), '--runroot', at('podman-run'), '--storage-driver=vfs'];
    try {
      for (const file of ['p.tar', 's.tar']) assert.match(run('podman', ...podman, 'load', '-i', at(file)), /localhost\/att:1/);
    } finally {
      run('sh', '-c', 'umount "$0"/* 2> /dev/null; rm -rf "$0" "$1"', at('podman'), at('podman-run'));
    }
  });

  test('lists all that came from elsewhere with its digest: images, addresses, commits', async () => {
    await using server = await serveGit(at());
    const repository = makeRepository(at(), 'repo.git', { f: '1' });
    const commit = git(repository, 'rev-parse', 'HEAD');
    const Dockerfile = `FROM busybox AS a\nFROM scratch\nCOPY --from=a /etc/passwd /\nADD http://u:s3cret@${base}/file?sig=s3cret /f\nADD ${server.base}/repo.git#main /g\n`;
    await world.succeed(['build', '--provenance', '-t', 'm:1', world.context({ Dockerfile })]);
    const { materials } = await attested('m:1', 'Provenance.SLSA');
    const { descriptor } = JSON.parse(await world.succeed(['inspect', 'busybox']));
    assert.deepEqual(
      materials,
      [
        { uri: `http://${base}/file`, digest: { sha256: sha256('fetched') } },
        { uri: `${server.base}/repo.git#refs/heads/main`, digest: { sha1: commit } },
        { uri: 'pkg:docker/busybox@latest?platform=linux%2Famd64', digest: { sha256: descriptor.digest.slice(7) } },
      ].sort((a, b) => (a.uri < b.uri ? -1 : 1)),
    );
  });

  test('knows the source and completeness of a build from a git repository', async () => {
    await using server = await serveGit(at());
    const repository = makeRepository(at(), 'context.git', { 'd/Dockerfile': 'FROM scratch\nCOPY x /\n', 'd/x': '1' });
    const commit = git(repository, 'rev-parse', 'HEAD');
    await world.succeed(['build', '--provenance=version=v1', '-t', 'git:1', `${server.base}/context.git#main:d`]);
    const { buildDefinition, runDetails } = await attested('git:1', 'Provenance.SLSA');
    const source = { uri: `${server.base}/context.git#refs/heads/main`, digest: { sha1: commit } };
    assert.deepEqual(buildDefinition.externalParameters.configSource, { ...source, path: 'Dockerfile' });
    assert.deepEqual(buildDefinition.resolvedDependencies, [source]);
    assert.deepEqual(buildDefinition.externalParameters.request.locals, []);
    assert.deepEqual(runDetails.metadata.buildkit_completeness, { request: true, resolvedDependencies: true });
    assert.equal(runDetails.metadata.buildkit_hermetic, true);
  });

  test('maps every layer to the step that made it', async () => {
    const Dockerfile = 'FROM busybox AS one\nRUN --network=none echo 1 > /1\nFROM one\nENV A=1\nCOPY x /x\nWORKDIR /w\n';
    await world.succeed(['build', '--provenance', '-t', 'l:1', world.context({ Dockerfile, x: '' })]);
    const { manifest } = JSON.parse(await world.succeed(['inspect', 'l:1']));
    const { metadata, buildConfig } = await attested('l:1', 'Provenance.SLSA');
    const { layers, source } = metadata['https://mobyproject.org/buildkit@v1#metadata'];
    const made = ['step0:0', 'step1:0', 'step4:0', 'step5:0'];
    assert.deepEqual(Object.keys(layers).sort(), made);
    assert.deepEqual(
      made.flatMap((id) => layers[id][0]),
      manifest.layers,
    );
    assert.equal(Buffer.from(source.infos[0].data, 'base64').toString(), Dockerfile);
    assert.deepEqual(source.locations.step1.locations[0].ranges[0].start, { line: 2 });
    assert.deepEqual(buildConfig.steps[2].inputs, ['step1']);
  });

  test('tells no value of a secret, nor of an argument that its name calls one or that nothing takes, nor a path', async () => {
    const Dockerfile = `FROM busybox\nARG OPEN\nARG API_TOKEN\nRUN --network=none --mount=type=secret,id=s,env=S test -n "$S"\nADD http://u:s3cret@${base}/x?X-Amz-Signature=s3cret /x\n`;
    const context = world.context({ Dockerfile });
    const args = ['OPEN=told', 'API_TOKEN=s3cret', 'UNUSED=s3cret', 'HTTP_PROXY=http://u:s3cret@127.0.0.1:1', 'NO_PROXY=127.0.0.1'];
    const flags = args.flatMap((arg) => ['--build-arg', arg]);
    await world.succeed(
      [
        'build',
        '--provenance',
        ...flags,
        '-f',
        path.join(context, 'Dockerfile'),
        '--build-context',
        `more=${context}`,
        '--secret',
        'id=s,env=HUSH',
        '-t',
        's:1',
        context,
      ],
      {
        env: { HUSH: 's3cret' },
      },
    );
    const told = await attested('s:1', 'Provenance.SLSA');
    const text =
      JSON.stringify(told) + Buffer.from(told.metadata['https://mobyproject.org/buildkit@v1#metadata'].source.infos[0].data, 'base64');
    assert.doesNotMatch(text, /s3cret/);
    assert.equal(text.includes(world.directory), false, 'nor a path of this machine');
    assert.deepEqual(told.invocation.parameters.args, { 'build-arg:OPEN': 'told' });
    assert.deepEqual(told.invocation.parameters.secrets, [{ id: 's', optional: true }]);
    assert.equal(told.metadata.completeness.parameters, false, 'something was withheld');
  });

  test('is the same again with SOURCE_DATE_EPOCH, wherever it is built', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY x /x\n', x: '1' });
    const rootfs = at('busybox.tar');
    const flags = ['build', '--provenance', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', 'type=image,rewrite-timestamp=true'];
    const other = at('other-state');
    await world.succeed(['import', rootfs, 'busybox:latest'], { root: other });
    const digests = [
      await world.succeed([...flags, '-t', 'e:1', context]),
      await world.succeed([...flags, '-t', 'e:1', context], { root: other }),
    ];
    assert.equal(digests[0], digests[1]);
    const plain = [
      await world.succeed(['build', '--provenance', '-t', 'f:1', context]),
      await world.succeed(['build', '--provenance', '-t', 'f:1', context]),
    ];
    assert.notEqual(plain[0], plain[1], 'else each build has a number and times');
    assert.equal(
      await world.succeed(['build', '-t', 'g:1', context]),
      await world.succeed(['build', '-t', 'g:1', context]),
      'and without is as it was',
    );
  });

  test('lies beside the files of local and tar outputs, by platform where they are together', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n', 'amd64/a': '1', 'arm64/b': '2' });
    const [local, tar] = [at('files'), at('files.tar')];
    await world.succeed(['build', '--provenance', '-o', local, '-o', `type=tar,dest=${tar},attestation-prefix=my-`, context]);
    const statement = JSON.parse(readFileSync(path.join(local, 'provenance.json'), 'utf8'));
    assert.deepEqual(statement.subject, [{ name: 'a', digest: { sha256: sha256('1') } }]);
    assert.deepEqual(run('tar', '-tf', tar).trim().split('\n').sort(), ['a', 'my-provenance.json']);
    const both = ['--platform', 'linux/amd64,linux/arm64'];
    await world.succeed(['build', '--provenance', ...both, '-o', `type=tar,dest=${tar}`, context]);
    assert.match(run('tar', '-tf', tar), /^linux_arm64\/provenance\.json$/m);
    await world.succeed(['build', '--provenance', ...both, '-o', `type=tar,dest=${tar},platform-split=false`, context]);
    assert.deepEqual(run('tar', '-tf', tar).trim().split('\n').sort(), [
      'a',
      'b',
      'provenance.linux_amd64.json',
      'provenance.linux_arm64.json',
    ]);
    await world.succeed(['build', '--provenance=inline-only=true', '-o', `type=tar,dest=${tar}`, context]);
    assert.equal(run('tar', '-tf', tar), 'a\n');
    const taken = world.context({ Dockerfile: 'FROM scratch\nCOPY provenance.json /\n', 'provenance.json': '' });
    const { stderr } = await world.tsbuild(['build', '--provenance', '-o', at('taken'), taken]);
    assert.match(stderr, /ERR_TSBUILD_EXPORT_FAILED.*has a file of that name[\s\S]*attestation-prefix/);
  });

  test('gives an image of one platform an index that takes annotations, and goes with the image', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'annotated' });
    const layout = at('annotated');
    const flags = [
      '--provenance',
      '--annotation',
      'index:a=1',
      '-t',
      'ann:1',
      '-o',
      `type=oci,tar=false,dest=${layout}`,
      '-o',
      'type=image',
    ];
    const digest = await world.succeed(['build', ...flags, context]);
    const index = JSON.parse(readFileSync(path.join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
    assert.deepEqual(index.annotations, { a: '1' });
    const refused = await world.tsbuild(['build', '--annotation', 'index:a=1', context]);
    assert.match(refused.stderr, /has no index/);
    const blob = path.join(world.root, 'blobs', index.manifests[1].digest.replace(':', '/'));
    assert.equal(existsSync(blob), true);
    await world.succeed(['rmi', 'ann:1']);
    assert.equal(existsSync(blob), false);
  });

  test('of several platforms is one of each, and OCI artifacts have a subject', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const layout = at('artifacts');
    const flags = [
      '--provenance=mode=min',
      '--platform',
      'linux/amd64,linux/arm64',
      '-o',
      `type=oci,tar=false,oci-artifact=true,dest=${layout}`,
    ];
    const digest = await world.succeed(['build', ...flags, context]);
    const blob = (of: string): Json => JSON.parse(readFileSync(path.join(layout, 'blobs', of.replace(':', '/')), 'utf8'));
    const { manifests } = blob(digest);
    assert.deepEqual(
      manifests.map(({ platform }: Json) => platform.architecture),
      ['amd64', 'arm64', 'unknown', 'unknown'],
    );
    for (const i of [0, 1]) {
      const artifact = blob(manifests[i + 2].digest);
      assert.equal(artifact.artifactType, 'application/vnd.docker.attestation.manifest.v1+json');
      assert.equal(artifact.subject.digest, manifests[i].digest);
      assert.deepEqual(artifact.config, {
        ...{ mediaType: 'application/vnd.oci.empty.v1+json', data: 'e30=', size: 2, digest: `sha256:${sha256('{}')}` },
      });
      assert.equal(blob(artifact.layers[0].digest).subject[0].name, '_');
    }
  });

  test('is refused, or left out aloud, where there is no place for it', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const docker = await world.tsbuild(['build', '--provenance', '-o', `type=docker,dest=${at('d.tar')}`, context]);
    assert.equal(docker.code, 0, docker.stderr);
    assert.match(docker.stderr, /Left attestations out of the output for Docker/);
    assert.equal(
      JSON.parse(run('tar', '-xOf', at('d.tar'), 'index.json')).manifests[0].mediaType,
      'application/vnd.oci.image.manifest.v1+json',
    );
    const old = await world.tsbuild(['build', '--provenance', '-o', 'type=image,oci-mediatypes=false', context]);
    assert.equal(old.code, 2);
    assert.match(old.stderr, /attestations with oci-mediatypes=false/);
    await world.succeed(['build', '--provenance=inline-only=true', '-t', 'n:1', '-o', 'type=image,attestation-inline=false', context]);
    const none = await world.tsbuild(['attestations', 'n:1']);
    assert.match(none.stderr, /ERR_TSBUILD_ATTESTATION_NOT_FOUND/);
  });
});

describe('build --metadata-file', () => {
  test('tells provenance, as BUILDX_METADATA_PROVENANCE says', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nARG A\nCOPY x /\n', x: '1' });
    const metadata = async (value: string | undefined, ...flags: string[]): Promise<Json> => {
      const args = ['build', '--build-arg', 'A=1', '--metadata-file', at('meta.json'), ...flags, context];
      await world.succeed(args, { env: { BUILDX_METADATA_PROVENANCE: value } });
      return JSON.parse(readFileSync(at('meta.json'), 'utf8'));
    };
    assert.deepEqual((await metadata(undefined))['buildx.build.provenance'].invocation.parameters.args, {});
    assert.deepEqual((await metadata('max'))['buildx.build.provenance'].invocation.parameters.args, { 'build-arg:A': '1' });
    assert.equal((await metadata('disabled'))['buildx.build.provenance'], undefined);
    const both = await metadata(undefined, '--platform', 'linux/amd64,linux/arm64');
    assert.ok('buildx.build.provenance/linux/amd64' in both && 'buildx.build.provenance/linux/arm64' in both);
  });
});
