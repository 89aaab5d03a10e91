/** --isolation=chroot on a machine that could do more: the layers of other builds, and nothing left of what stood in for mounts. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BUILDS, layersOfSteps } from './_builds.ts';
import { commandLine, eventually, processesWith } from './_processes.ts';
import { BIN, type CommandResult, makeWorld, type World } from './_world.ts';

/** What the image has where something is put for a step, as file, as link and as directory with contents. */
const IN_PLACE: Readonly<Record<string, readonly string[]>> = {
  'files in the places of mounts': [
    'COPY --chown=7:8 --chmod=640 a /etc/hosts',
    'COPY a /etc/resolv.conf',
    'COPY d /dev',
    'COPY --chown=5 a /run/secrets/s',
    'RUN --mount=type=secret,id=s --mount=type=tmpfs,target=/home --mount=type=cache,target=/var/lib test -s /run/secrets/s && echo x > /x && echo y > /home/y',
    'RUN ln /x /y',
  ],
  'links in the places of mounts': [
    'RUN mkdir -p /l/up && ln -s ../made/up/r /l/resolv.conf && ln -s /made/h /l/hosts',
    'FROM busybox AS second',
    'COPY --from=0 /l /etc',
    'RUN echo 1 > /1',
    'RUN rm -r /etc/up && mkdir /made && touch -d @1700000001 /made',
    'RUN echo 2 > /2',
  ],
  'mounts in mounts': [
    'RUN --mount=type=tmpfs,target=/t --mount=type=secret,id=s,target=/t/deep/s --mount=type=cache,target=/t/c --mount=type=bind,target=/t/b cp /t/deep/s /t/b/a / && touch /t/c/x',
    'RUN --mount=type=cache,target=/t/c --mount=type=cache,id=other,target=/w,uid=5 ls /t/c > /l && stat -c %u /w > /u',
  ],
};

/** All but what a chroot has not, and what a copy does as a disk and no overlay would: change all names of an inode. */
const { 'kernel file systems': _kernel, 'hard and symbolic links': _links, ...SAME } = BUILDS;

describe('--isolation=chroot', () => {
  let world: World;
  before(async () => {
    world = await makeWorld();
  });
  after(async () => await world?.[Symbol.asyncDispose]());

  const build = async (
    dockerfile: string,
    {
      flags = [],
      files = {},
      env = {},
    }: { flags?: readonly string[]; files?: Readonly<Record<string, string>>; env?: NodeJS.ProcessEnv } = {},
  ): Promise<CommandResult> =>
    await world.tsbuild(
      ['build', '--progress=plain', '-t', 'out', '--isolation=chroot', ...flags, world.context({ Dockerfile: dockerfile, ...files })],
      {
        env,
      },
    );

  const succeed = async (...args: Parameters<typeof build>): Promise<string> => {
    const { code, stderr } = await build(...args);
    assert.equal(code, 0, stderr);
    return stderr;
  };

  for (const [name, instructions] of Object.entries({ ...SAME, ...IN_PLACE })) {
    it(`builds the layers of containers: ${name}`, async () => {
      const expected = await layersOfSteps(world, instructions);
      assert.deepEqual(await layersOfSteps(world, instructions, ['--isolation=chroot']), expected);
    });
  }

  it('warns once, and tells what is not isolated', async () => {
    const stderr = await succeed('FROM busybox\nRUN true\nRUN echo\n');
    assert.equal(stderr.match(/Steps are NOT isolated/g)?.length, 1);
    assert.doesNotMatch(stderr, /no seccomp filter/);
  });

  it('is taken from the environment, never by itself, and keeps its results apart', async () => {
    const dockerfile = 'FROM busybox\nRUN ls -d /proc/self > /there || true\nRUN test ! -s /there\n';
    const context = world.context({ Dockerfile: dockerfile });
    assert.notEqual((await world.tsbuild(['build', '--network=none', context])).code, 0);
    const env = { TSBUILD_ISOLATION: 'chroot' };
    await world.succeed(['build', '--network=none', context], { env });
    assert.notEqual((await world.tsbuild(['build', '--network=none', context])).code, 0);
    for (const [flags, more] of [
      [['--isolation=chroot', '--snapshotter=overlay'], {}],
      [['--isolation=process'], {}],
      [[], { TSBUILD_ISOLATION: 'oci' }],
    ] as const) {
      const { code, stderr } = await world.tsbuild(['build', ...flags, context], { env: more });
      assert.deepEqual([code, /ERR_TSBUILD_USAGE/.test(stderr)], [2, true], stderr);
    }
  });

  it('has the network of the machine, its host name, and names that were given', async () => {
    const stderr = await succeed(
      'FROM busybox\nRUN echo "host $(hostname)"; grep -c given /etc/hosts; readlink /etc/resolv.conf; cat /etc/resolv.conf\n',
      {
        flags: ['--add-host=given:192.0.2.7', '--dns=192.0.2.53'],
      },
    );
    assert.match(stderr, new RegExp(`host ${execFileSync('hostname', { encoding: 'utf8' }).trim()}\\n`));
    assert.match(stderr, /nameserver 192\.0\.2\.53/);
  });

  it('forgets what a step does to what stands in for mounts', async () => {
    await succeed(
      [
        'FROM busybox',
        'COPY hosts /etc/hosts',
        'RUN --mount=type=bind,target=/b --mount=type=secret,id=s,target=/etc/s echo 1.2.3.4 evil >> /etc/hosts && rm -r /etc/resolv.conf /dev && mkdir /dev /etc/resolv.conf && echo x > /dev/null && echo y > /etc/resolv.conf/z && rm -r /b && ln -s / /b && rm /etc/s && mkdir /etc/s',
        'COPY --from=busybox /bin/true /after',
      ].join('\n'),
      { flags: ['--secret=id=s,env=S'], files: { hosts: '127.0.0.1 mine\n' }, env: { S: 'hush' } },
    );
    const files = filesOf(await world.succeed(['inspect', 'out']), world);
    assert.deepEqual(files, ['after', 'etc/', 'etc/hosts']);
  });

  it('survives a step that takes away, or moves, the directories around what stands in for mounts', async () => {
    await succeed(
      [
        'FROM busybox',
        'COPY hosts /etc/hosts',
        'RUN mv /etc /moved && mkdir /etc && cp /moved/passwd /etc',
        'RUN test "$(cat /moved/hosts)" = mine && rm -rf /moved /etc && cp /bin/busybox /sh',
        'RUN test ! -e /moved && test -e /etc/hosts',
        'RUN test -e /sh',
      ].join('\n'),
      { files: { hosts: 'mine' } },
    );
  });

  it('lets a step neither leave its root nor make a device, and opens those of /dev', async () => {
    await succeed(
      [
        'FROM busybox',
        'RUN mkdir /up && ! chroot /up true && ! mknod /null c 1 3 && ! mount -t tmpfs none /up && test ! -e /null',
        'RUN head -c 4 /dev/zero | wc -c | grep -q 4 && head -c 4 /dev/urandom > /r && (sleep 0 & wait) && echo > /dev/null && touch /dev/shm/x',
        'USER app',
        'RUN echo > /dev/null && touch /dev/shm/x && ! touch /x',
      ].join('\n'),
    );
  });

  it('leads no mount and no working directory out of the root, whatever links there are', async () => {
    const canary = path.join(world.directory, 'canary');
    mkdirSync(canary);
    writeFileSync(path.join(canary, 'file'), 'untouched');
    const tree = path.join(world.directory, 'links');
    mkdirSync(tree);
    symlinkSync(canary, path.join(tree, 'abs'));
    symlinkSync(`../../../../../../../../..${canary}`, path.join(tree, 'rel'));
    symlinkSync(path.join(canary, 'file'), path.join(tree, 'file'));
    execFileSync('tar', ['-cf', path.join(world.directory, 'links.tar'), '-C', tree, '.']);
    const context = world.context({
      Dockerfile: [
        'FROM busybox',
        'ADD links.tar /l/',
        'RUN --mount=type=secret,id=s,target=/l/abs/s --mount=type=tmpfs,target=/l/rel/t --mount=type=cache,target=/l/abs/c --mount=type=secret,id=s,target=/l/file pwd > /l/abs/t1; echo gone > /l/file || true',
        'RUN --mount=type=cache,id=k,target=/k ln -s /l/abs /k/out',
        'RUN --mount=type=cache,id=k,target=/k --mount=type=secret,id=s,target=/k/out/deep/s --mount=type=tmpfs,target=/k/out/file true',
        `WORKDIR /l/abs`,
        'RUN ls > /seen; mkdir -p x && cd .. && cd ../../../../.. && ls -d bin etc l && rm -rf x',
      ].join('\n'),
      'links.tar': readFileSync(path.join(world.directory, 'links.tar')),
    });
    const { code, stderr } = await world.tsbuild(['build', '--isolation=chroot', '--progress=plain', '--secret=id=s,env=S', context], {
      env: { S: 'hush' },
    });
    assert.equal(code, 0, stderr);
    assert.deepEqual([readdirSync(canary), readFileSync(path.join(canary, 'file'), 'utf8')], [['file'], 'untouched']);
  });

  it('keeps caches from step to step, and says what it cannot do with one', async () => {
    const cache = '--mount=type=cache,id=kept';
    await succeed(`FROM busybox\nRUN ${cache},target=/c mkdir -p /c/part && echo 1 > /c/part/x\n`);
    await succeed(
      `FROM busybox\nRUN ${cache},target=/c,source=/part test -e /c/x && echo 2 > /c/y\nRUN ${cache},target=/d test -e /d/part/y\n`,
    );
    await succeed(
      `FROM busybox\nRUN ${cache},target=/c,readonly ${cache},target=/p,source=/part,ro echo > /p/lost && echo > /c/part/lost; rm /c/part/x\n`,
    );
    await succeed(`FROM busybox\nRUN ${cache},target=/c ls /c/part > /l && test "$(echo $(cat /l))" = "x y"\n`);
    await succeed(`FROM busybox\nRUN ${cache},target=/c rm -r /c/part && mv /c /elsewhere && mkdir /c\n`);
    await succeed(`FROM busybox\nRUN ${cache},target=/c test -z "$(ls /c)"\n`);
    const twice = await build(`FROM busybox\nRUN ${cache},target=/c ${cache},target=/d true\n`);
    assert.match(twice.stderr, /Dockerfile:2[\s\S]*ERR_TSBUILD_UNSUPPORTED: Cannot mount a cache on \/d/);
    const insecure = await build('# syntax=docker/dockerfile:1\nFROM busybox\nRUN --security=insecure true\n', {
      flags: ['--allow=security.insecure'],
    });
    assert.match(insecure.stderr, /ERR_TSBUILD_UNSUPPORTED: Cannot run a step with --security=insecure or with devices in a chroot/);
  });

  it('runs programs that are here-documents, and tells how a step ended', async () => {
    assert.match(await succeed('FROM busybox\nRUN <<EOF\n#!/bin/cat\nshown\nEOF\n'), /shown/);
    const killed = await build('FROM busybox\nRUN kill -9 $$\n');
    assert.match(killed.stderr, /ERR_TSBUILD_RUN_KILLED/);
    const late = await build('FROM busybox\nRUN (sleep 4244 &); sleep 4244\n', { flags: ['--step-timeout=1s'] });
    assert.match(late.stderr, /ERR_TSBUILD_TIMEOUT/);
    assert.deepEqual(processesWith('sleep 4244'), []);
  });

  it('leaves no secret on the disk', async () => {
    const secret = 'hush-5cb4f3a1e0';
    await succeed(
      'FROM busybox\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /size\nRUN --mount=type=secret,id=s,env=V test -n "$V"\n',
      {
        ...{ flags: ['--secret=id=s,env=S'], env: { S: secret } },
      },
    );
    assert.notEqual(
      (await build('FROM busybox\nRUN --mount=type=secret,id=s false\n', { flags: ['--secret=id=s,env=S'], env: { S: secret } })).code,
      0,
    );
    assert.equal(holding(world.root, secret), '');
  });

  it('leaves nothing after a SIGKILL that the next command does not remove', async () => {
    const secret = 'hush-77aa01dd42';
    const number = `4243.${process.pid}`;
    const context = world.context({
      Dockerfile: `FROM busybox\nRUN --mount=type=secret,id=s --mount=type=cache,id=lost,target=/c (trap "" HUP TERM; setsid sleep ${number} &) ; sleep ${number}\n`,
    });
    const child = spawn(process.execPath, [BIN, 'build', '--isolation=chroot', '--secret=id=s,env=S', context], {
      env: { ...process.env, TSBUILD_ROOT: world.root, S: secret },
      stdio: 'ignore',
    });
    const sleepers = (): number[] => processesWith(`sleep ${number}`).filter((pid) => commandLine(pid).startsWith('sleep '));
    try {
      await eventually(() => (sleepers().length === 2 ? true : undefined));
    } finally {
      child.kill('SIGKILL');
    }
    await eventually(() => (sleepers().length === 0 ? true : undefined));
    await succeed('FROM busybox\nRUN --mount=type=cache,id=lost,target=/c touch /c/new\n');
    assert.equal(holding(world.root, secret), '');
  });

  it('runs one step at a time', async () => {
    const stage = (name: string) =>
      `FROM busybox AS ${name}\nRUN --mount=type=cache,id=t,target=/c mkdir /c/alone && sleep 0.3 && rmdir /c/alone\n`;
    await succeed(`${stage('a')}${stage('b')}FROM busybox\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n`, {
      flags: ['--jobs=4'],
    });
  });
});

/** Paths of the files that hold the text, one a line. */
function holding(directory: string, text: string): string {
  assert.ok(existsSync(directory));
  try {
    return execFileSync('grep', ['-rlaF', text, directory], { encoding: 'utf8' });
  } catch (error) {
    if ((error as { status?: number }).status === 1) return '';
    throw error;
  }
}

/** Names in the layers above the first. */
function filesOf(inspected: string, { root }: World): string[] {
  const { manifest } = JSON.parse(inspected) as { manifest: { layers: { digest: string }[] } };
  const names = manifest.layers.slice(1).flatMap(({ digest }) =>
    execFileSync('tar', ['-tzf', path.join(root, 'blobs/sha256', digest.slice('sha256:'.length))], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .filter((name) => name !== ''),
  );
  return [...new Set(names)].sort();
}
