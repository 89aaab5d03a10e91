/** Several platforms in one build, indexes in and out of registries, and programs of another architecture by a real QEMU. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry } from '../registry/_docker-registry.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

interface Index {
  readonly manifests: readonly {
    readonly digest: string;
    readonly platform: { readonly architecture: string; readonly variant?: string };
  }[];
}

const DOCKERFILE = [
  ...['FROM --platform=$BUILDPLATFORM busybox AS once', 'RUN cat /proc/sys/kernel/random/uuid > /once'],
  ...['FROM --platform=$BUILDPLATFORM busybox AS each', 'ARG TARGETPLATFORM', 'RUN echo $TARGETPLATFORM > /platform'],
  ...['FROM scratch', 'COPY --from=once /once /', 'COPY --from=each /platform /'],
].join('\n');

/** Of `FROM scratch`: a static program of arm64 that writes what machine it believes to be on. */
const PROGRAM = `#include <stdio.h>
#include <sys/utsname.h>
int main(void) { struct utsname u; uname(&u); FILE *f = fopen("/machine", "w"); fputs(u.machine, f); return fclose(f); }
`;
const BINFMT = '/proc/sys/fs/binfmt_misc';
const HANDLER = 'tsbuild-test-aarch64';
const RULE = `:${HANDLER}:M:0:\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:/usr/bin/qemu-aarch64-static:F`;

describe('platforms', () => {
  let world: World;
  before(async () => {
    world = await makeWorld();
  });
  after(() => world[Symbol.asyncDispose]());

  /** The only file of that name in the layers of a layout's manifest. */
  function fileIn(layout: string, digest: string, name: string): string {
    const blob = (of: string) => path.join(layout, 'blobs/sha256', of.slice('sha256:'.length));
    const { layers } = JSON.parse(readFileSync(blob(digest), 'utf8')) as { layers: { digest: string }[] };
    for (const layer of layers) {
      if (
        execFileSync('tar', ['-tzf', blob(layer.digest)], { encoding: 'utf8' })
          .split('\n')
          .includes(name)
      )
        return execFileSync('tar', ['-xzOf', blob(layer.digest), name], { encoding: 'utf8' });
    }
    throw new Error(`no ${name}`);
  }

  test('--platform makes one index, in the order asked for, which a registry and skopeo take; what is common runs once', async () => {
    await using registry = await startRegistry();
    const name = `${registry.host}/several:1`;
    const context = world.context({ Dockerfile: DOCKERFILE });
    const args = ['--platform', 'linux/arm64/v8,local', '--platform', 'linux/arm', '--push', '-t', name, context];
    const digest = await world.succeed(args);
    assert.equal(await world.succeed(args), digest);
    const layout = path.join(world.directory, 'several');
    execFileSync('skopeo', [
      '--insecure-policy',
      'copy',
      '--all',
      '--preserve-digests',
      '--src-tls-verify=false',
      `docker://${name}`,
      `oci:${layout}:1`,
    ]);
    const index = JSON.parse(
      execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/several@${digest}`], {
        encoding: 'utf8',
      }),
    ) as Index;
    const local = process.arch === 'x64' ? 'amd64' : process.arch;
    assert.deepEqual(
      index.manifests.map(({ platform }) => [platform.architecture, platform.variant].join('/')),
      ['arm64/', `${local}/`, 'arm/v7'],
    );
    const files = (file: string) => index.manifests.map((manifest) => fileIn(layout, manifest.digest, file));
    assert.deepEqual(files('platform'), ['linux/arm64\n', `linux/${local}\n`, 'linux/arm/v7\n']);
    assert.equal(new Set(files('once')).size, 1);
  });

  test('a tag that is pulled for a second platform keeps the first, and what is there can be pushed', async () => {
    await using registry = await startRegistry();
    const name = `${registry.host}/both:1`;
    await world.succeed([
      '--platform',
      'linux/amd64,linux/arm64,linux/s390x',
      '--push',
      '-t',
      name,
      world.context({ Dockerfile: DOCKERFILE }),
    ]);
    const root = path.join(world.directory, 'second');
    const platforms = async () => {
      const images = JSON.parse(await world.succeed(['images', '--format', 'json'], { root })) as {
        platforms: { architecture: string }[];
      }[];
      return images[0]?.platforms.map(({ architecture }) => architecture);
    };
    const digest = await world.succeed(['pull', '--platform', 'linux/arm64', name], { root });
    assert.deepEqual(await platforms(), ['arm64']);
    const copy = `${registry.host}/copy:1`;
    await world.succeed(['tag', name, copy], { root });
    assert.notEqual(await world.succeed(['push', copy], { root }), digest);
    // The store has an index without this platform's part: the build fetches it, under the same digest.
    await world.succeed(['--platform', 'linux/s390x', world.context({ Dockerfile: `FROM ${name}\nCOPY Dockerfile /\n` })], { root });
    assert.deepEqual(await platforms(), ['arm64', 's390x']);
    assert.equal(await world.succeed(['pull', '--platform', 'linux/amd64', name], { root }), digest);
    assert.deepEqual(await platforms(), ['amd64', 'arm64', 's390x']);
    assert.equal(await world.succeed(['push', name], { root }), digest);
    await world.succeed(['rmi', name, copy], { root });
  });

  test('BUILDKIT_MULTI_PLATFORM makes an index of one', async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    await world.succeed(['--build-arg', 'BUILDKIT_MULTI_PLATFORM=1', '-t', 'one:1', context]);
    const { descriptor } = JSON.parse(await world.succeed(['inspect', 'one:1'])) as { descriptor: { mediaType: string } };
    assert.equal(descriptor.mediaType, 'application/vnd.oci.image.index.v1+json');
    assert.match(await world.succeed(['save', 'one:1', '-o', path.join(world.directory, 'one.tar')]), /^sha256:/);
  });

  test('what cannot be a platform, and what no image has, end with the reason', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY Dockerfile /\n' });
    const bad = await world.tsbuild(['--platform', 'linux/', context]);
    assert.match(bad.stderr, /ERR_TSBUILD_USAGE: Cannot use "linux\/" as a platform/);
    assert.equal(bad.code, 2);
    await world.succeed(['--platform', 'linux/amd64,linux/arm64', '-t', 'two:1', world.context({ Dockerfile: DOCKERFILE })]);
    const missing = await world.tsbuild(['--platform', 'linux/s390x', world.context({ Dockerfile: 'FROM two:1\nCOPY Dockerfile /\n' })]);
    assert.match(missing.stderr, /ERR_TSBUILD_PLATFORM_NOT_FOUND.*linux\/s390x/);
    assert.match(missing.stderr, /Dockerfile:1/);
  });

  describe('programs of another architecture', { skip: process.arch === 'x64' ? false : 'written for amd64' }, () => {
    const context = () => {
      const directory = world.context({
        Dockerfile: 'FROM --platform=linux/arm64 scratch\nCOPY show /\nRUN ["/show"]\n',
        'show.c': PROGRAM,
      });
      execFileSync('aarch64-linux-gnu-gcc', ['-static', '-Os', '-o', path.join(directory, 'show'), path.join(directory, 'show.c')]);
      return directory;
    };

    test('RUN says which emulator is missing, with the way to get it', async (t) => {
      if (existsSync(path.join(BINFMT, 'qemu-aarch64'))) return t.skip('this machine has an emulator');
      const { code, stderr } = await world.tsbuild([context()]);
      assert.equal(code, 1);
      assert.match(stderr, /ERR_TSBUILD_EMULATOR_MISSING: Cannot run programs for linux\/arm64 on linux\/amd64/);
      assert.match(stderr, /qemu-user-static/);
      assert.match(stderr, /Dockerfile:3/);
    });

    test('RUN runs them by QEMU where the kernel knows it with the flag F', async (t) => {
      // Mounted in a mount namespace of its own; the rule itself is the kernel's, so it is taken away again.
      const script = `mount -t binfmt_misc none ${BINFMT} 2>/dev/null || [ -e ${BINFMT}/register ] || exit 77
printf '%s' '${RULE}' > ${BINFMT}/register || exit 77
"$0" "$1" -t emulated:1 "$2"; code=$?
echo -1 > ${BINFMT}/${HANDLER}; exit $code`;
      const env = { ...process.env, TSBUILD_ROOT: world.root };
      const result = await runCommand('unshare', ['-m', 'bash', '-c', script, process.execPath, BIN, context()], { env });
      if (result.code === 77) return t.skip('NOT TESTED: this machine lets nobody register a binfmt_misc handler');
      assert.equal(result.code, 0, result.stderr);
      const archive = path.join(world.directory, 'emulated.tar');
      await world.succeed(['save', 'emulated:1', '-o', archive]);
      const layout = path.join(world.directory, 'emulated');
      execFileSync('sh', ['-c', 'mkdir "$1" && tar -xf "$0" -C "$1"', archive, layout]);
      assert.equal(fileIn(layout, result.stdout.trim(), 'machine'), 'aarch64');
    });
  });

  test('the library takes platforms', async () => {
    const { build } = await import('../../src/index.ts');
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    writeFileSync(path.join(context, 'x'), '');
    const { digest } = await build({ root: world.root, context, platforms: ['linux/arm64', 'linux/riscv64'], tags: ['library:1'] });
    const { platforms } = JSON.parse(await world.succeed(['inspect', digest])) as {
      platforms: { architecture: string }[];
    };
    assert.deepEqual(
      platforms.map(({ architecture }) => architecture),
      ['arm64', 'riscv64'],
    );
  });
});
