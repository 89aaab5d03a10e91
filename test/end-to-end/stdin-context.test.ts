import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const tar = (directory: string, ...flags: string[]): Buffer =>
  execFileSync('tar', [...flags, '--owner=7', '--group=8', '--mtime=@1000000000', '-c', '-C', directory, '.']);

describe('a context on standard input', () => {
  for (const compression of ['--no-auto-compress', '-z', '-j', '-J', '--zstd']) {
    test(`that is a tar packed with ${compression} keeps owners, modes and times, and no ignore file counts`, async () => {
      const files = { Dockerfile: 'FROM busybox\nCOPY . /in/\n', a: 'A', '.dockerignore': 'a' };
      const input = tar(world.context(files), compression, '--mode=u=rw,go=r,a+X');
      await world.succeed(['-t', 'stdin:1', '-'], { input });
      assert.equal(await world.succeed(['run', 'stdin:1', 'stat', '-c', '%u:%g %a %Y', '/in/a']), '7:8 644 1000000000');
    });
  }

  test('that is a tar has its Dockerfile where -f says, or under its name in lower case', async () => {
    const files = { 'docker/Build': 'FROM busybox\nCOPY a /f\n', dockerfile: 'FROM busybox\nCOPY a /lower\n', a: 'A' };
    const input = tar(world.context(files));
    await world.succeed(['-t', 'stdin:2', '-f', 'docker/Build', '-'], { input });
    assert.equal(await world.succeed(['run', 'stdin:2', 'cat', '/f']), 'A');
    await world.succeed(['-t', 'stdin:2', '-'], { input });
    assert.equal(await world.succeed(['run', 'stdin:2', 'cat', '/lower']), 'A');
  });

  test('that is no tar is the Dockerfile, and there are no files', async () => {
    await world.succeed(['-t', 'stdin:3', '-'], { input: 'FROM busybox\nRUN echo x > /x\n' });
    assert.equal(await world.succeed(['run', 'stdin:3', 'cat', '/x']), 'x');
    const result = await world.tsbuild(['-'], { input: 'FROM busybox\nCOPY x /\n' });
    assert.match(result.stderr, /Cannot copy "x": not in the build context/);
    assert.match(result.stderr, /standard input:2/);
    assert.match((await world.tsbuild(['-'], { input: 'FROM scratch\0' })).stderr, /neither a tar nor a text/);
  });

  test('with a Dockerfile that is a link reads no file of the machine', async () => {
    const context = world.context({ a: 'A' });
    symlinkSync('/etc/hostname', path.join(context, 'Dockerfile'));
    const result = await world.tsbuild(['-'], { input: tar(context) });
    assert.match(result.stderr, /DOCKERFILE_NOT_FOUND/);
  });

  test('that is a broken or hostile tar ends with ARCHIVE_INVALID', async () => {
    const whole = tar(world.context({ Dockerfile: 'FROM busybox\nCOPY . /\n', a: 'a'.repeat(100_000) }));
    assert.match((await world.tsbuild(['-'], { input: whole.subarray(0, 50_000) })).stderr, /ARCHIVE_INVALID/);
    const context = world.context({ Dockerfile: 'FROM busybox\n', name: 'x' });
    const escaping = execFileSync('tar', ['-c', '-P', '--transform', 's,name,../name,', '-C', context, 'Dockerfile', 'name']);
    assert.match((await world.tsbuild(['-'], { input: escaping })).stderr, /ARCHIVE_INVALID/);
  });

  test('built again is a cache hit', async () => {
    const input = tar(world.context({ Dockerfile: 'FROM busybox\nCOPY a /again\n', a: 'A' }));
    await world.succeed(['-'], { input });
    assert.match((await world.tsbuild(['--progress', 'plain', '-'], { input })).stderr, /CACHED/);
  });
});

test('-f - reads the Dockerfile of a directory from standard input', async () => {
  const context = world.context({ a: 'A', b: 'B', '.dockerignore': 'b' });
  await world.succeed(['-t', 'stdin:4', '-f', '-', context], { input: 'FROM busybox\nCOPY . /in/\n' });
  assert.equal(await world.succeed(['run', 'stdin:4', 'ls', '/in']), 'a');
  const both = await world.tsbuild(['-f', '-', '-'], { input: 'FROM busybox\n' });
  assert.match(both.stderr, /Cannot read both the Dockerfile and the build context from standard input/);
});

test('--check and --call read a Dockerfile from standard input', async () => {
  const result = await world.tsbuild(['--check', '-'], { input: 'from busybox\nRUN true\n' });
  assert.equal(result.code, 1);
  assert.match(result.stdout, /ConsistentInstructionCasing/);
  assert.match(await world.succeed(['--call', 'targets', '-f', '-', world.context({})], { input: 'FROM busybox AS one\n' }), /one/);
});
