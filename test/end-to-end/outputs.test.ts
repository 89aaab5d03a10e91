/** `build --output`: what each type makes, judged by programs that read it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { startDocker } from './_docker.ts';
import { makeUserWorld } from './_rootless.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
const at = (...names: string[]): string => path.join(world.directory, ...names);
/** Type, mode, owner, size, whole seconds and link target of everything but the root. */
const listing = (tree: string): string =>
  run(
    'sh',
    '-c',
    'cd "$0" && find . -mindepth 1 -printf "%P %y %m %U:%G %s %Ts %l\\n" | sed "s/ d \\(.*\\) [0-9]* \\([0-9-]*\\) $/ d \\1 \\2/" | LC_ALL=C sort',
    tree,
  );

/** On busybox, with what is hard to copy. */
const DOCKERFILE = `FROM busybox AS made
RUN mkdir /out && cd /out && echo data > file && ln file hard && ln -s file link && ln -s /etc/passwd absolute && ln -s ../../up up
RUN cd /out && mkfifo pipe && mkdir -p d/e && echo deep > d/e/f && chmod 4711 file && chown 33:44 d && touch -d @1234567890 d/e/f && mkdir dir.wh
RUN cd /out && : > "$(printf 'bad\\377name')"
FROM scratch AS files
COPY --from=made /out/ /
`;

describe('build --output type=local', () => {
  test('writes the tree that type=tar holds, and GNU tar sees it the same', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE.replace('mkfifo pipe', 'mkfifo pipe && : > .wh.name') });
    const out = await world.succeed(['build', '-o', at('local'), '-o', `type=tar,dest=${at('files.tar')}`, context]);
    assert.equal(out, '', 'no image was made, so there is no digest');
    mkdirSync(at('untarred'));
    run('tar', '--numeric-owner', '-C', at('untarred'), '-xpf', at('files.tar'));
    assert.equal(listing(at('local')), listing(at('untarred')));
    assert.match(listing(at('local')), /^d d 755 33:44 /m);
    assert.match(listing(at('local')), /^file f 4711 0:0 5 /m);
    assert.match(listing(at('local')), /^\.wh\.name f/m);
    assert.equal(readdirSync(at('local'), 'latin1').includes('bad\xffname'), true);
  });

  test('replaces links that lie in its way, and changes nothing where they lead', async () => {
    const context = world.context({
      Dockerfile:
        'FROM busybox AS b\nRUN mkdir -p /o/d /o/sub && echo n > /o/d/x && echo n > /o/f && ln -s /etc /o/sub/to && ln -s . /o/l\nFROM scratch\nCOPY --from=b /o/ /\n',
    });
    mkdirSync(at('victim/inner'), { recursive: true });
    writeFileSync(at('victim/f'), 'safe');
    writeFileSync(at('victim/inner/x'), 'safe');
    mkdirSync(at('planted'));
    symlinkSync(at('victim/inner'), at('planted/d'));
    symlinkSync(at('victim/f'), at('planted/f'));
    symlinkSync(at('victim'), at('planted/l'));
    symlinkSync(at('victim'), at('planted/sub'));
    writeFileSync(at('planted/kept'), 'kept');
    const victim = listing(at('victim'));
    await world.succeed(['build', '-o', at('planted'), context]);
    assert.equal(listing(at('victim')), victim);
    assert.equal(readFileSync(at('victim/f'), 'utf8'), 'safe');
    assert.equal(readFileSync(at('planted/d/x'), 'utf8'), 'n\n');
    assert.equal(lstatSync(at('planted/d')).isDirectory(), true);
    assert.equal(readFileSync(at('planted/kept'), 'utf8'), 'kept');
    await world.succeed(['build', '-o', `type=local,dest=${at('planted')},mode=delete`, context]);
    assert.deepEqual(readdirSync(at('planted')).sort(), ['d', 'f', 'l', 'sub']);
    assert.equal(listing(at('victim')), victim);
  });

  test('gives an ordinary user files of their own, and tells of devices that it leaves out', async () => {
    await using user = await makeUserWorld();
    const context = user.context({ Dockerfile: 'FROM scratch\nADD tree.tar /\n' });
    mkdirSync(path.join(context, 't'));
    run(
      'sh',
      '-c',
      'cd "$0" && mknod t/null c 1 3 && echo x > t/f && chown 33:33 t/f && ln t/f t/g && tar -cf tree.tar -C t . && rm -r t',
      context,
    );
    const out = path.join(user.directory, 'home/out');
    const { code, stderr } = await user.tsbuild(['build', '--progress=plain', '-o', out, '-o', `type=tar,dest=${out}.tar`, context]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /only root can make devices: null/);
    assert.deepEqual(readdirSync(out), ['f', 'g']);
    assert.equal(lstatSync(path.join(out, 'f')).ino, lstatSync(path.join(out, 'g')).ino);
    assert.equal(lstatSync(path.join(out, 'f')).uid, user.user.uid);
    assert.match(run('tar', '--numeric-owner', '-tvf', `${out}.tar`), /crw.* 0\/0 +1,3 .* null/);
    assert.match(run('tar', '--numeric-owner', '-tvf', `${out}.tar`), /33\/33 .* f$/m);
  });

  test('has a directory for each of several platforms', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n', 'amd64/a': '1', 'arm64/b': '2' });
    const platforms = ['--platform', 'linux/amd64,linux/arm64'];
    await world.succeed([
      'build',
      ...platforms,
      '-o',
      at('split'),
      '-o',
      `type=local,platform-split=false,dest=${at('together')}`,
      context,
    ]);
    assert.deepEqual(readdirSync(at('split')).sort(), ['linux_amd64', 'linux_arm64']);
    assert.equal(readFileSync(at('split/linux_arm64/b'), 'utf8'), '2');
    assert.deepEqual(readdirSync(at('together')).sort(), ['a', 'b']);
    const same = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const refused = await world.tsbuild(['build', ...platforms, '-o', `type=local,platform-split=false,dest=${at('same')}`, same]);
    assert.match(refused.stderr, /ERR_TSBUILD_EXPORT_FAILED.*linux\/amd64 and linux\/arm64.*both have x/);
    assert.equal(existsSync(at('same')), false);
  });

  test('leaves nothing behind where it cannot be written', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    writeFileSync(at('in-the-way'), '');
    for (const output of [
      at('in-the-way/below'),
      `type=tar,dest=${at('missing/x.tar')}`,
      `type=oci,dest=${at('missing/x.tar')}`,
      `type=oci,dest=${world.directory}`,
      // Where the kernel makes no directories.
      '/proc/none/below',
      'type=oci,tar=false,dest=/proc/none',
    ]) {
      const before = readdirSync(world.directory);
      const { code, stderr } = await world.tsbuild(['build', '-o', output, context]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /ERR_TSBUILD_EXPORT_FAILED/);
      assert.deepEqual(readdirSync(world.directory), before);
    }
  });
});

describe('build --output type=oci and type=docker', () => {
  test('write archives and layouts that skopeo copies there and back without a changed byte', async () => {
    const context = world.context({ Dockerfile: DOCKERFILE });
    const outputs = [
      `type=oci,dest=${at('a.tar')}`,
      `type=oci,tar=false,dest=${at('layout')}`,
      `type=docker,dest=${at('d.tar')}`,
      'type=image',
    ];
    const digest = await world.succeed(['build', '-t', 'app:1', ...outputs.flatMap((output) => ['-o', output]), context]);
    run('skopeo', 'copy', '--preserve-digests', `oci-archive:${at('a.tar')}:1`, `oci:${at('copied')}:1`);
    run('skopeo', 'copy', '--preserve-digests', `oci:${at('layout')}:1`, `oci:${at('copied-2')}:1`);
    run('diff', '-r', at('layout/blobs'), at('copied/blobs'));
    run('diff', '-r', at('copied'), at('copied-2'));
    run('skopeo', 'copy', `docker-archive:${at('d.tar')}:app:1`, `dir:${at('docker-copied')}`);
    assert.equal(JSON.parse(readFileSync(at('layout/index.json'), 'utf8')).manifests[0].digest, digest);
    run('umoci', 'unpack', '--image', `${at('layout')}:1`, at('bundle'));
    await world.succeed(['build', '-o', at('tree'), context]);
    const withoutTimesOfDirectories = (tree: string): string => listing(tree).replace(/^(\S+ d \d+ \S+) .*$/gm, '$1');
    assert.equal(withoutTimesOfDirectories(at('bundle/rootfs')), withoutTimesOfDirectories(at('tree')));
  });

  test('add to a layout that is there, and give a name anew', async () => {
    const one = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const two = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '2' });
    const into = (name: string): string => `type=oci,tar=false,name=${name},dest=${at('grows')}`;
    await world.succeed(['build', '-o', into('app:1'), one]);
    await world.succeed(['build', '-o', into('app:2'), two]);
    const digest = await world.succeed(['build', '-o', into('app:1'), two]);
    const { manifests } = JSON.parse(readFileSync(at('grows/index.json'), 'utf8'));
    assert.deepEqual(
      manifests.map((item: { annotations: Record<string, string> }) => item.annotations['org.opencontainers.image.ref.name']),
      ['2', '1'],
    );
    assert.equal(manifests[1].digest, digest);
  });

  test('write to standard output the archive alone', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const tsbuild = `"${process.execPath}" bin/tsbuild build`;
    for (const [output, name] of [
      ['type=oci', 'oci-layout'],
      ['type=docker,dest=-', 'manifest.json'],
      ['-', 'x'],
    ]) {
      const names = execFileSync('sh', ['-c', `${tsbuild} -o "$0" "$1" | tar -t`, output ?? '', context], {
        encoding: 'utf8',
        env: { ...process.env, TSBUILD_ROOT: world.root },
      });
      assert.ok(names.split('\n').includes(name ?? ''), names);
    }
    const twice = await world.tsbuild(['build', '-o', '-', '-o', 'type=oci', context]);
    assert.equal(twice.code, 2);
    assert.match(twice.stderr, /two outputs to standard output/);
  });

  test('are what podman load takes', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCMD ["true"]\n' });
    await world.succeed(['build', '-t', 'localhost/loaded:1', '-o', `type=docker,dest=${at('p.tar')}`, context]);
    const podman = ['--root', at('podman'), '--runroot', at('podman-run'), '--storage-driver=vfs'];
    try {
      assert.match(run('podman', ...podman, 'load', '-i', at('p.tar')), /localhost\/loaded:1/);
    } finally {
      run('sh', '-c', 'umount "$0"/* 2> /dev/null; rm -rf "$0" "$1"', at('podman'), at('podman-run'));
    }
  });
});

describe('build --load', () => {
  test('loads into a Docker daemon, by its socket and by docker load', async () => {
    await using docker = await startDocker(world.directory);
    const context = world.context({ Dockerfile: 'FROM busybox\nCMD ["echo", "hi"]\n' });
    await world.succeed(['build', '-t', 'by-socket:1', '--load', context], { env: docker.env });
    await world.succeed(['build', '-t', 'by-file:1', '-o', `type=docker,dest=${at('l.tar')}`, context]);
    execFileSync('docker', ['load', '-i', at('l.tar')], { env: docker.env, stdio: 'pipe' });
    const ids = execFileSync('docker', ['image', 'inspect', '--format', '{{.Id}}', 'by-socket:1', 'by-file:1'], {
      env: docker.env,
      encoding: 'utf8',
    });
    const { manifest } = JSON.parse(await world.succeed(['build', '-t', 'x:1', context]).then(() => world.succeed(['inspect', 'x:1'])));
    assert.equal(ids, `${manifest.config.digest}\n${manifest.config.digest}\n`);
  });

  test('says what to do where no daemon is', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\n' });
    const { code, stderr } = await world.tsbuild(['build', '-t', 'x', '--load', context], {
      env: { DOCKER_HOST: `unix://${at('none.sock')}` },
    });
    assert.equal(code, 1);
    assert.match(stderr, /ERR_TSBUILD_DOCKER_FAILED.*no daemon listens there/);
    const far = await world.tsbuild(['build', '-t', 'x', '--load', context], { env: { DOCKER_HOST: 'tcp://192.0.2.1:2375' } });
    assert.match(far.stderr, /ERR_TSBUILD_DOCKER_FAILED.*names no unix:\/\/ socket/);
  });
});

describe('build --iidfile, --digestfile and --metadata-file', () => {
  test('tell the digests of the image', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nMAINTAINER me\n' });
    const files = ['--iidfile', at('iid'), '--digestfile', at('digest'), '--metadata-file', at('meta.json')];
    const digest = await world.succeed(['build', '-t', 'app:1,', context].map((word) => word.replace(',', '')).concat(files), {
      env: { BUILDX_METADATA_WARNINGS: '1' },
    });
    const { manifest } = JSON.parse(await world.succeed(['inspect', 'app:1']));
    assert.equal(readFileSync(at('iid'), 'utf8'), manifest.config.digest);
    assert.equal(readFileSync(at('digest'), 'utf8'), digest);
    const metadata = JSON.parse(readFileSync(at('meta.json'), 'utf8'));
    const { 'buildx.build.ref': ref, 'buildx.build.warnings': warnings, 'buildx.build.provenance': provenance, ...rest } = metadata;
    assert.equal(provenance.invocation.configSource.entryPoint, 'Dockerfile');
    assert.match(ref, /^\w+\/\w+\/\w{25}$/);
    assert.match(JSON.stringify(warnings), /MaintainerDeprecated/);
    assert.equal(rest['containerimage.descriptor'].digest, digest);
    assert.deepEqual(
      { ...rest, 'containerimage.descriptor': undefined },
      {
        'containerimage.config.digest': manifest.config.digest,
        'containerimage.descriptor': undefined,
        'containerimage.digest': digest,
        'image.name': 'docker.io/library/app:1',
      },
    );
    const refused = await world.tsbuild(['build', '-o', at('nothing'), '--iidfile', at('no'), context]);
    assert.equal(refused.code, 2);
  });
});

describe('build --output', () => {
  test('names what it knows for what it does not', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const refusals: [string, RegExp][] = [
      ['type=locl,dest=x', /"locl" \(did you mean local\?\)[\s\S]*Types are image, registry, oci, docker, local, tar, cacheonly/],
      ['dest=x', /without type=/],
      ['type=local', /dest= is missing/],
      ['type=local,dest=x,mod=copy', /no attribute "mod" \(did you mean mode\?\)[\s\S]*dest, mode, platform-split/],
      ['type=local,dest=x,mode=move', /not one of copy, delete/],
      ['type=local,dest=/,mode=delete', /remove everything/],
      ['type=oci,dest=x,tar=perhaps', /neither true nor false/],
      ['type=oci,tar=false', /needs a directory/],
      ['type=image,push=true', /Cannot push an image without a name/],
      ['type=image,name=a:1,push-by-digest=true', /by digest: it has a tag/],
      ['type=image,name=UPPER', /ERR_TSBUILD_REFERENCE_INVALID/],
      ['type=oci,dest', /"dest" is not NAME=VALUE/],
    ];
    for (const [output, message] of refusals) {
      const { code, stderr } = await world.tsbuild(['build', '-o', output, context]);
      assert.match(stderr, message, output);
      assert.equal(code, output.includes('UPPER') ? 1 : 2);
    }
    const many = await world.tsbuild(['build', '--platform', 'linux/amd64,linux/arm64', '--load', context]);
    assert.match(many.stderr, /several platforms for Docker/);
  });

  test('type=cacheonly runs the steps and makes nothing', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo cached > /only\n' });
    assert.equal(await world.succeed(['build', '-t', 'never:1', '-o', 'type=cacheonly', context]), '');
    assert.notEqual((await world.tsbuild(['inspect', 'never:1'])).code, 0);
    const { stderr } = await world.tsbuild(['build', '--progress=plain', context]);
    assert.match(stderr, /CACHED/);
  });

  test('a device is written to, and stays what it is', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    run('mknod', at('null'), 'c', '1', '3');
    await world.succeed(['build', '-o', `type=oci,dest=${at('null')}`, '-o', `type=tar,dest=${at('null')}`, context]);
    assert.equal(lstatSync(at('null')).isCharacterDevice(), true);
  });

  test('a layout is not written through links, and a blob that is another one is replaced', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const build = (name: string) => world.tsbuild(['build', '-o', `type=oci,tar=false,dest=${at(name)}`, context]);
    mkdirSync(at('elsewhere'));
    mkdirSync(at('linked'));
    symlinkSync(at('elsewhere'), at('linked/blobs'));
    const { stderr } = await build('linked');
    assert.match(stderr, /ERR_TSBUILD_EXPORT_FAILED.*linked\/blobs is a symbolic link/);
    assert.deepEqual(readdirSync(at('elsewhere')), []);
    assert.deepEqual(readdirSync(at('linked')), ['blobs']);
    await build('sound');
    const [name = ''] = readdirSync(at('sound/blobs/sha256'));
    const blob = readFileSync(at(`sound/blobs/sha256/${name}`));
    writeFileSync(at(`sound/blobs/sha256/${name}`), Buffer.alloc(blob.length));
    await build('sound');
    assert.ok(readFileSync(at(`sound/blobs/sha256/${name}`)).equals(blob));
  });

  test('of the library takes plain values, and a stream for what goes to -', async () => {
    const { build } = await import('../../src/index.ts');
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
    const stdout = new PassThrough();
    const bytes = buffer(stdout);
    const { digest, names } = await build({
      root: world.root,
      context,
      stdout,
      outputs: [{ type: 'tar' }, { type: 'image', names: ['lib:1'], compression: 'zstd' }],
    });
    assert.match(execFileSync('tar', ['-t'], { input: await bytes, encoding: 'utf8' }), /^x$/m);
    assert.deepEqual(names, ['docker.io/library/lib:1']);
    assert.equal(
      JSON.parse(await world.succeed(['inspect', digest ?? ''])).manifest.layers[0].mediaType,
      'application/vnd.oci.image.layer.v1.tar+zstd',
    );
    await assert.rejects(build({ root: world.root, context, outputs: [{ type: 'tar' }] }), { code: 'ERR_TSBUILD_USAGE' });
  });
});
