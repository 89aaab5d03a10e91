/** RUN --mount: bind, cache, tmpfs, and the programs that here-documents are, as a step and its layer see them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { BIN, type CommandResult, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const FILES = { 'a.txt': 'a\n', 'd/b.txt': 'b\n', 'd/ignored': 'no\n', '.dockerignore': 'd/ignored\n' };

async function build(
  dockerfile: string,
  args: readonly string[] = [],
  files: Readonly<Record<string, string>> = FILES,
): Promise<CommandResult> {
  const context = world.context({ ...files, Dockerfile: dockerfile });
  return await world.tsbuild(['--progress=plain', '-t', 'result', ...args, context]);
}

/** What the steps wrote, a line each. */
async function output(dockerfile: string, args?: readonly string[]): Promise<string[]> {
  const { code, stderr } = await build(dockerfile, args);
  assert.equal(code, 0, stderr);
  return stderr.split('\n').flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
}

/** Paths that a fresh container of the result has below `root`, proc, dev and sys left out. */
async function tree(root = '/'): Promise<string[]> {
  const { stdout } = await world.tsbuild([
    'run',
    '--network=none',
    'result',
    'find',
    root,
    '-path',
    '/proc',
    '-prune',
    '-o',
    '-path',
    '/sys',
    '-prune',
    '-o',
    '-path',
    '/dev',
    '-prune',
    '-o',
    '-print',
  ]);
  return stdout.split('\n').filter((line) => line !== '' && !/^\/(?:bin|proc|dev|sys|etc\/hosts)/.test(line));
}

describe('RUN --mount=type=bind', () => {
  test('shows the build context, without what is ignored, read-only and without a trace', async () => {
    const lines = await output(
      'FROM busybox\nRUN --mount=target=/new/m find /new/m -type f | sort; touch /new/m/x 2>/dev/null || echo refused; ls -lnd /new/m/d | cut -c1-10\n',
    );
    assert.deepEqual(lines, ['/new/m/.dockerignore', '/new/m/Dockerfile', '/new/m/a.txt', '/new/m/d/b.txt', 'refused', 'drwxr-xr-x']);
    assert.ok(!(await tree()).some((file) => file.startsWith('/new')));
  });

  test('C4 lets a step write to a copy of its own where it says rw', async () => {
    const context = world.context({
      ...FILES,
      Dockerfile:
        'FROM busybox\nRUN --mount=target=/m,rw echo x > /m/a.txt; rm -r /m/d; touch /m/new\nRUN --mount=target=/m cat /m/a.txt; ls /m | tr "\\n" " "\n',
    });
    const { code, stderr } = await world.tsbuild(['--progress=plain', context]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^#\d+ \S+ a$/m);
    assert.match(stderr, /Dockerfile a\.txt d /);
    assert.equal(readFileSync(path.join(context, 'a.txt'), 'utf8'), 'a\n');
    assert.ok(existsSync(path.join(context, 'd/b.txt')) && !existsSync(path.join(context, 'new')));
  });

  test('takes a file, a directory, and places below WORKDIR', async () => {
    assert.deepEqual(
      await output('FROM busybox\nWORKDIR /w\nRUN --mount=target=f,source=a.txt --mount=target=d,source=/d/../d cat f; ls d; pwd\n'),
      ['a', 'b.txt', '/w'],
    );
  });

  test('C1 reads stages and images, whose links lead nowhere else (CVE-2024-1753 and its kin)', async () => {
    const lines = await output(
      [
        'FROM busybox AS evil',
        'RUN mkdir /data && echo in-stage > /hostname && ln -s / /data/root && ln -s ../../../../../../etc /data/up && ln -s /proc/self/root /data/magic',
        'FROM busybox',
        'RUN --mount=from=evil,source=/data/root,target=/m cat /m/hostname',
        'RUN --mount=from=evil,source=/data/root,target=/m,rw touch /m/BREAKOUT; ls /m | grep -c .',
        'RUN --mount=from=evil,source=/data/up,target=/m cat /m/passwd | grep -c root:x:0:0:root:/root:/bin/sh',
        'RUN --mount=from=busybox,target=/m ls /m/bin/busybox',
        '',
      ].join('\n'),
    );
    assert.equal(lines[0], 'in-stage');
    assert.deepEqual(lines.slice(-2), ['1', '/m/bin/busybox']);
    assert.ok(!existsSync('/BREAKOUT'));
    assert.notEqual(
      (await build('FROM busybox AS e\nRUN ln -s /proc/self/root /magic\nFROM busybox\nRUN --mount=from=e,source=/magic,target=/m ls /m\n'))
        .code,
      0,
    );
  });

  test('depends on what is selected, and on nothing else of the context', async () => {
    const dockerfile = 'FROM busybox\nRUN --mount=target=/m,source=a.txt cat /m\n';
    const isCached = ({ code, stderr }: CommandResult) => {
      assert.equal(code, 0, stderr);
      return /CACHED/.test(stderr);
    };
    assert.equal(isCached(await build(dockerfile, [], { 'a.txt': 'one', other: '1' })), false);
    assert.equal(isCached(await build(dockerfile, [], { 'a.txt': 'one', other: '2' })), true);
    assert.equal(isCached(await build(dockerfile, [], { 'a.txt': 'two', other: '2' })), false);
  });

  test('names what is not there, and what may have been meant', async () => {
    assert.match(
      (await build('FROM busybox\nRUN --mount=target=/m,source=nothing ls\n')).stderr,
      /ERR_TSBUILD_CONTEXT_PATH_NOT_FOUND: Cannot mount "\/nothing": not in the build context/,
    );
    assert.match((await build('FROM busybox\nRUN --mount=target=/m,source=d/ignored ls\n')).stderr, /excluded by \.dockerignore line 1/);
    assert.match(
      (await build('FROM busybox AS b\nFROM busybox\nRUN --mount=from=b,target=/m,source=/etc/pass ls\n')).stderr,
      /Cannot mount "\/etc\/pass": not in stage "b" \(did you mean etc\/passwd\?\)/,
    );
  });
});

describe('the targets of RUN --mount', () => {
  const shapes: Record<string, string> = {
    'that is missing': 'type=tmpfs,target=/n1',
    'below missing directories': 'type=tmpfs,target=/n2/a/b/c',
    'in a directory of the image': 'type=cache,target=/var/lib/n3',
    'that is a directory of the image': 'type=cache,target=/home',
    'that is a file of the image': 'source=a.txt,target=/etc/group',
    'that is a missing file': 'source=a.txt,target=/etc/n4',
    'that is a missing file below missing directories': 'source=a.txt,target=/n5/f',
    'behind a link': 'type=tmpfs,target=/link/n6',
    'that is a link': 'type=tmpfs,target=/link',
    'that is a dangling link': 'type=tmpfs,target=/dangling/n7',
    'that climbs': 'type=tmpfs,target=/../../n8',
    'with an odd name': 'type=tmpfs,"target=/n9 é,x"',
    'in /dev': 'type=tmpfs,target=/dev/n10/x',
    'that is /dev/shm': 'type=tmpfs,target=/dev/shm',
    'in /run': 'type=tmpfs,target=/run/n11',
    'in /tmp': 'type=cache,target=/tmp/n12',
    'that is /tmp': 'type=tmpfs,target=/tmp',
    'that is /etc': 'type=tmpfs,target=/etc',
    'that is relative': 'type=tmpfs,target=n13/x',
    'that is a secret’s': 'type=secret,id=s',
    'that is a secret’s of its own': 'type=secret,id=s,target=/n14/s',
    'of a read-only cache': 'type=cache,target=/n15,ro',
    'of an image': 'from=busybox,target=/n16',
    'of an image, to write': 'from=busybox,target=/n17,rw',
    'of a file to write': 'source=a.txt,target=/n18,rw',
  };

  test('leave nothing in the layer, not even a time', async () => {
    const base =
      'FROM busybox AS base\nRUN ln -s /var/lib /link; ln -s /nowhere /dangling; mkdir /w; touch -d "2001-01-01 00:00" / /etc /var /var/lib /tmp /home /w\n';
    const context = world.context({ ...FILES, secret: 's' });
    for (const [what, mount] of Object.entries(shapes)) {
      writeFileSync(
        path.join(context, 'Dockerfile'),
        `${base}FROM base\nWORKDIR /w\nRUN --mount=${mount.replaceAll(' ', '\\ ').replaceAll('"', '\\"')} true\n`,
      );
      const digest = await world.tsbuild(['-q', '-t', 'shape', '--secret', `id=s,src=${context}/secret`, context]);
      assert.equal(digest.code, 0, `${what}: ${digest.stderr}`);
      const { layers } = JSON.parse(await world.succeed(['inspect', 'shape'])).manifest as { layers: { digest: string }[] };
      const blob = path.join(world.root, 'blobs/sha256', layers.at(-1)?.digest.slice(7) ?? '');
      assert.ok(
        gunzipSync(readFileSync(blob)).every((byte) => byte === 0),
        `A target ${what} is in the layer`,
      );
    }
  });

  test('lie in other mounts, whichever was written first', async () => {
    const lines = await output(
      'FROM busybox\nRUN --mount=type=cache,target=/a/b/c,id=inner --mount=type=tmpfs,target=/a --mount=source=a.txt,target=/a/f touch /a/b/c/x; cat /a/f; ls /a\nRUN --mount=type=cache,target=/z,id=inner ls /z\nRUN --mount=target=/m --mount=type=cache,target=/m/d,id=inner ls /m/d\n',
    );
    assert.deepEqual(lines, ['a', 'b', 'f', 'x', 'x']);
  });

  test('are refused in /proc and /sys, at the root, and where a file should be a directory', async () => {
    for (const [target, message] of [
      ['/proc/self/attr', /MOUNT_INVALID: Cannot mount on \/proc\/self\/attr: it is inside \/proc/],
      ['/../sys/x', /inside \/sys/],
      ['/..', /it is the root/],
      ['/etc/passwd', /Cannot mount \/etc\/passwd in the container: the image has a file there/],
    ] as const) {
      const { code, stderr } = await build(`FROM busybox\nRUN --mount=type=tmpfs,target=${target} true\n`);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
    assert.match(
      (await build('FROM busybox AS b\nRUN ln -s /proc/self /p\nFROM b\nRUN --mount=type=tmpfs,target=/p/attr true\n')).stderr,
      /MOUNT_INVALID/,
    );
  });

  test('are taken away by what they are, not by their path (CVE-2024-23652)', async () => {
    const victim = path.join(world.directory, 'victim/b/c');
    mkdirSync(victim, { recursive: true });
    const { code, stderr } = await build(
      `FROM busybox\nRUN --mount=type=tmpfs,target=/a/b/c umount /a/b/c 2>/dev/null; mv /a /moved; ln -s ${world.directory}/victim /a; true\n`,
    );
    assert.equal(code, 0, stderr);
    assert.ok(existsSync(victim));
  });
});

describe('RUN --mount=type=tmpfs', () => {
  test('is empty memory of the size that was said, with the mode of what it hides', async () => {
    const lines = await output(
      'FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=1m --mount=type=tmpfs,target=/root df -k /t | tail -1 | tr -s " " | cut -d" " -f2; stat -c %a /t /root; head -c 2m /dev/zero > /t/x || echo full\n',
    );
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('head')),
      ['1024', '1777', '755', 'full'],
    );
  });
});

describe('RUN --mount=type=cache', () => {
  test('keeps its files from build to build, and out of layers and keys', async () => {
    const mark = () =>
      output('FROM busybox\nRUN --mount=type=cache,target=/var/cache/one echo x >> /var/cache/one/log; wc -l < /var/cache/one/log\n', [
        '--no-cache',
      ]);
    assert.deepEqual(await mark(), ['1']);
    assert.deepEqual(await mark(), ['2']);
    assert.deepEqual(
      await output('FROM busybox\nRUN --mount=type=cache,target=/var/cache/one echo x >> /var/cache/one/log; wc -l < /var/cache/one/log\n'),
      [],
    );
    assert.ok(!(await tree('/var')).includes('/var/cache'));
  });

  test('C2 is named by the hash of its id, else by its target, in a namespace', async () => {
    const list = async (mount: string, args: readonly string[] = []) =>
      (await output(`FROM busybox\nRUN --mount=type=cache,${mount} ls /c; touch /c/$(ls /c | wc -l)\n`, ['--no-cache', ...args])).length;
    for (const id of ['../..', '/etc', 'x'.repeat(300), '.', 'ü', 'a/b', 'a', 'b']) {
      assert.equal(await list(`target=/c,id=${id}`), 0);
      assert.equal(await list(`target=/c,id=${id}`), 1);
    }
    assert.equal(await list('target=/c/'), 0);
    assert.equal(await list('target=/x/../c'), 1);
    assert.equal(await list('target=/c,id=/c'), 2);
    assert.equal(await list('target=/c', ['--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=other']), 0);
    assert.ok(readdirSync(path.join(world.root, 'cache/mounts')).every((name) => /^[a-f0-9]{64}$/.test(name)));
  });

  test('starts with the owner and mode that were said, or as a copy of a directory', async () => {
    const lines = await output(
      [
        'FROM busybox AS seed',
        'RUN mkdir -p /s/d && echo 1 > /s/d/f && ln /s/d/f /s/hard && chown 5:6 /s && chmod 0711 /s',
        'FROM busybox',
        'RUN --mount=type=cache,id=o,target=/c,uid=7,gid=8,mode=0700 stat -c "%u %g %a" /c; touch /c/x',
        'RUN --mount=type=cache,id=o,target=/c,uid=7,gid=8,mode=0700 ls /c; chmod 0777 /c',
        'RUN --mount=type=cache,id=o,target=/c,uid=7,gid=8,mode=0700 stat -c "%u %g %a" /c',
        'RUN --mount=type=cache,from=seed,source=s,target=/c stat -c "%u %g %a" /c; cat /c/d/f; stat -c %h /c/hard; echo 2 > /c/d/f',
        'RUN --mount=type=cache,from=seed,source=s,target=/c,ro cat /c/d/f; touch /c/x 2>/dev/null || echo read-only',
        'RUN --mount=type=cache,id=seeded,target=/c ls /c',
        'RUN --mount=from=seed,source=s,target=/c cat /c/d/f',
        '',
      ].join('\n'),
    );
    assert.deepEqual(lines, ['7 8 700', 'x', '7 8 777', '5 6 711', '1', '2', '2', 'read-only', '1']);
  });

  test('waits for the stage that it starts from before it takes its turn', { timeout: 30_000 }, async () => {
    const lines = await output(
      'FROM busybox AS slow\nRUN sleep 0.5; mkdir /s; echo 1 > /s/f\nFROM busybox\nRUN --mount=type=cache,from=slow,source=s,target=/c cat /c/f\n',
      ['--jobs', '1'],
    );
    assert.deepEqual(lines, ['1']);
  });

  test('gives a part of itself', async () => {
    const lines = await output(
      'FROM busybox\nRUN --mount=type=cache,id=part,target=/c mkdir /c/sub; echo in > /c/sub/f; ln -s / /c/root\nRUN --mount=type=cache,id=part,source=sub,target=/c cat /c/f\nRUN --mount=type=cache,id=part,source=root,target=/c ls /c\n',
    );
    assert.deepEqual(lines, ['in', 'root', 'sub']);
    assert.match(
      (await build('FROM busybox\nRUN --mount=type=cache,id=part,source=none,target=/c true\n')).stderr,
      /MOUNT_INVALID.*"\/none"/,
    );
  });

  test('C7 is used by one process at a time where it is locked, and is nobody’s where it is private', async () => {
    const processes = Number(process.env['TSBUILD_RACE_PROCESSES'] ?? 8);
    const counting = (sharing: string, number: number) =>
      `FROM busybox\nENV N=${number}\nRUN --mount=type=cache,id=${sharing},target=/c,sharing=${sharing} touch /c/n; i=0; while [ $i -lt 100 ]; do n=$(cat /c/n); echo $((n + 1)) > /c/n; i=$((i + 1)); done; cat /c/n\n`;
    const run = async (sharing: string) =>
      await Promise.all(Array.from({ length: processes }, async (_, number) => Number((await output(counting(sharing, number)))[0])));
    assert.deepEqual(
      (await run('locked')).toSorted((a, b) => a - b),
      Array.from({ length: processes }, (_, index) => (index + 1) * 100),
    );
    assert.ok((await run('private')).every((count) => count % 100 === 0));
  });
});

describe('RUN with a here-document that begins with #!', () => {
  test('executes it as a program that is in no layer', async () => {
    const lines = await output('FROM busybox\nUSER app\nRUN <<SCRIPT\n#!/bin/busybox sh\necho $0 $(id -u) $(dirname $0/..)\nSCRIPT\n');
    assert.deepEqual(lines, ['/dev/pipes/SCRIPT 1000 /dev/pipes/SCRIPT']);
    assert.deepEqual((await tree('/dev/pipes')).length, 0);
  });

  test('runs again when it changes, and fails as it fails', async () => {
    assert.deepEqual(await output('FROM busybox\nRUN <<X\n#!/bin/sh\necho one\nX\n'), ['one']);
    assert.deepEqual(await output('FROM busybox\nRUN <<X\n#!/bin/sh\necho two\nX\n'), ['two']);
    assert.match((await build('FROM busybox\nRUN <<X\n#!/bin/sh\nexit 3\nX\n')).stderr, /exited with code 3/);
    assert.match((await build('FROM busybox\nRUN <<X\n#!/no/such\nX\n')).stderr, /exited with code 127/);
  });
});

describe('RUN --mount under kill -9', () => {
  test('a cache is free again, and whole, when the tsbuild that used it was killed', async () => {
    const context = world.context({
      Dockerfile:
        'FROM busybox\nARG WHO\nRUN --mount=type=cache,id=killed,target=/c,sharing=locked echo $WHO >> /c/log; [ $WHO = second ] || sleep 60; cat /c/log\n',
    });
    const first = spawn(process.execPath, [BIN, '--progress=plain', '--build-arg', 'WHO=first', context], {
      env: { ...process.env, TSBUILD_ROOT: world.root },
      stdio: 'ignore',
    });
    const caches = path.join(world.root, 'cache/mounts');
    const isRunning = () =>
      readdirSync(caches).some(
        (name) =>
          existsSync(path.join(caches, name, '0/data/log')) && readFileSync(path.join(caches, name, '0/data/log'), 'utf8') === 'first\n',
      );
    while (!existsSync(caches) || !isRunning()) await sleep(50);
    first.kill('SIGKILL');
    const started = Date.now();
    const { code, stderr } = await world.tsbuild(['--progress=plain', '--build-arg', 'WHO=second', context]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, / first\n#\d+ \S+ second\n/);
    assert.ok(Date.now() - started < 20_000);
  });
});

test('variables are expanded in every value of a mount but what it is from', async () => {
  const lines = await output(
    'FROM busybox\nARG T=tmpfs\nENV D=/x S=1m\nRUN --mount=type=$T,target=${D}/$T,size=$S df -k | grep /x | tr -s " " | cut -d" " -f1,2,6\n',
  );
  assert.deepEqual(lines, ['tmpfs 1024 /x/tmpfs']);
  assert.match((await build('FROM busybox\nARG T=bnd\nRUN --mount=type=$T,target=/x true\n')).stderr, /"bnd" as type.*did you mean bind/);
});
