import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

/** Builds what must fail and returns its messages. */
async function failing(files: Record<string, string>, { args = [], code = 1 }: { args?: string[]; code?: number } = {}): Promise<string> {
  const result = await world.tsbuild(['-t', 'bad:1', ...args, world.context(files)]);
  assert.equal(result.code, code, `${result.stderr}${result.stdout}`);
  assert.equal(result.stdout, '');
  assert.equal((await world.tsbuild(['inspect', 'bad:1'])).code, 1, 'nothing was named');
  return result.stderr;
}

describe('bad input ends with one message', () => {
  test('an unknown instruction is named with its line and a suggestion', async () => {
    const message = await failing({ Dockerfile: 'FROM busybox\nRUNN true\n' });
    assert.match(message, /Dockerfile:2/);
    assert.match(message, /RUNN.*did you mean RUN/);
    assert.match(message, /ERR_TSBUILD_UNKNOWN_INSTRUCTION/);
  });

  test('a failing RUN shows the excerpt, its last output and its exit code', async () => {
    const message = await failing({ Dockerfile: 'FROM busybox\n\nRUN echo before-the-end; exit 42\n' });
    assert.match(message, /Dockerfile:3/);
    assert.match(message, />>> RUN echo before-the-end; exit 42/);
    assert.match(message, /before-the-end\n/);
    assert.match(message, /exited with code 42/);
  });

  test('a command that is not there says so', async () => {
    assert.match(await failing({ Dockerfile: 'FROM busybox\nRUN ["nonesuch", "-x"]\n' }), /nonesuch/);
    assert.match(await failing({ Dockerfile: 'FROM scratch\nRUN true\n' }), /\/bin\/sh/);
  });

  test('a missing COPY source is named with what was looked in', async () => {
    const message = await failing({ Dockerfile: 'FROM busybox\nCOPY nope /x\n' });
    assert.match(message, /Cannot copy "nope": not in the build context/);
    assert.match(message, /Dockerfile:2/);
  });

  test('a base that no registry has ends with the reason', async () => {
    const message = await failing({ Dockerfile: 'FROM 127.0.0.1:1/none:1\n' });
    assert.match(message, /127\.0\.0\.1:1/);
    assert.match(message, /Dockerfile:1/);
  });

  test('an unknown --target lists the stages', async () => {
    assert.match(await failing({ Dockerfile: 'FROM busybox AS base\n' }, { args: ['--target', 'bsae'] }), /bsae.*base/s);
  });

  test('an unknown USER is named', async () => {
    assert.match(await failing({ Dockerfile: 'FROM busybox\nUSER nobody-here\nRUN true\n' }), /nobody-here/);
  });

  test('bad usage exits with 2', async () => {
    assert.equal((await world.tsbuild(['--nonesuch', '.'])).code, 2);
    assert.equal((await world.tsbuild(['build'])).code, 2);
  });

  test('a missing Dockerfile and a missing context are told apart', async () => {
    assert.match((await world.tsbuild([world.context({ a: '' })])).stderr, /DOCKERFILE_NOT_FOUND/);
    assert.match((await world.tsbuild([path.join(world.directory, 'nowhere')])).stderr, /CONTEXT_NOT_FOUND/);
  });

  test('a full disk ends with exit code 74 and gives the space back', async () => {
    const small = path.join(world.directory, 'small');
    mkdirSync(small);
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY big /big\n', big: 'x'.repeat(20 << 20) });
    // A file system of 16 MiB in a mount namespace of its own, so that nothing stays mounted.
    const script = `mount -t tmpfs -o size=16m tmpfs ${small} && "$0" "$1" -t full:1 ${context}; code=$?; "$0" "$1" images >&2; df -k --output=used ${small} | tail -1; exit $code`;
    const result = await runCommand('unshare', ['-m', 'sh', '-c', script, process.execPath, BIN], {
      env: { ...process.env, TSBUILD_ROOT: `${small}/state` },
    });
    assert.equal(result.code, 74, result.stderr);
    assert.match(result.stderr, /NO_SPACE/);
    assert.ok(Number(result.stdout.trim().split('\n').at(-1)) < 2000, `space was given back: ${result.stdout} KiB used`);
  });

  test('a corrupt blob is noticed before it is used', async () => {
    const root = path.join(world.directory, 'corrupt');
    const tar = path.join(world.directory, 'busybox.tar');
    await world.succeed(['import', tar, 'base:1'], { root });
    const { manifest } = JSON.parse(await world.succeed(['inspect', 'base:1'], { root })) as { manifest: { layers: { digest: string }[] } };
    const blob = path.join(root, 'blobs/sha256', String(manifest.layers[0]?.digest.slice(7)));
    const bytes = readFileSync(blob);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    execFileSync('chmod', ['u+w', blob]);
    writeFileSync(blob, bytes);
    const result = await world.tsbuild(['-t', 'x:1', world.context({ Dockerfile: 'FROM base:1\nRUN true\n' })], { root });
    assert.equal(result.code, 1, result.stdout);
    assert.match(result.stderr, /ERR_TSBUILD_(DIGEST_MISMATCH|LAYER_INVALID)/);
  });
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
