import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openSealedJson, sealedJson } from '../../src/sealed-json.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const RANDOM = 'head -c8 /dev/urandom | od -An -tx1';

/** Directories of all snapshots. */
function snapshots(root: string): string[] {
  const all = path.join(root, 'snapshots/d');
  return readdirSync(all).map((id) => path.join(all, id));
}

/** Writes one byte to a file of every snapshot that has it; says how many have. */
function flip(root: string, file: string): number {
  const found = snapshots(root)
    .map((directory) => path.join(directory, 'fs', file))
    .filter((name) => existsSync(name));
  for (const name of found) writeFileSync(name, 'X', { flag: 'r+' });
  return found.length;
}

/** As if the machine had been started since. */
function reboot(root: string): void {
  writeFileSync(path.join(root, 'snapshots/boot'), 'another-boot');
  for (const directory of snapshots(root)) {
    const file = path.join(directory, 'info.json');
    writeFileSync(file, sealedJson({ ...openSealedJson(readFileSync(file, 'utf8')), bootId: 'another-boot' }));
  }
}

/** The base, a state directory of the test's own, and a context whose second step reads what the first made. */
async function built(name: string, dockerfile: readonly string[]): Promise<{ root: string; context: string; digest: string }> {
  const root = path.join(world.directory, name);
  await world.succeed(['import', path.join(world.directory, 'busybox.tar'), 'busybox:latest'], { root });
  const context = world.context({ Dockerfile: dockerfile.join('\n') });
  const digest = await world.succeed(['-t', 'a', context], { root });
  return { root, context, digest };
}

const show = async (root: string, ...command: string[]) => await world.succeed(['run', 'a', ...command], { root });
const cached = (stderr: string): number => stderr.match(/^#\d+ CACHED$/gm)?.length ?? 0;
const warnings = (stderr: string): string[] => stderr.split('\n').filter((line) => line.startsWith('WARNING'));

test('after a boot of the machine, steps whose layers an image has are taken from those, and others run again', async () => {
  const { root, context, digest } = await built('boot', ['FROM busybox', `RUN ${RANDOM} > /a`, `RUN ${RANDOM} > /b`]);
  const before = await show(root, 'cat', '/a', '/b');
  reboot(root);
  const again = await world.tsbuild(['--progress=plain', '-t', 'a', context], { root });
  assert.deepEqual([again.stdout.trim(), cached(again.stderr), warnings(again.stderr)], [digest, 2, []]);
  const more = world.context({ Dockerfile: `${readFileSync(path.join(context, 'Dockerfile'))}\nRUN cat /a /b > /c\n` });
  const onTop = await world.tsbuild(['--progress=plain', '-t', 'a', more], { root });
  assert.equal(cached(onTop.stderr), 2, onTop.stderr);
  assert.equal(await show(root, 'cat', '/a', '/b'), before);
  assert.equal(await show(root, 'cat', '/c'), before);
});

test('what a step made is taken from its layer where the disk has changed it, with a warning, and what stands on it stays', async () => {
  const { root, context, digest } = await built('packed', ['FROM busybox', `RUN ${RANDOM} > /a`, `RUN ${RANDOM} > /b`]);
  const before = await show(root, 'cat', '/a', '/b');
  // The step's, and that of the image's layer, which a container ran in.
  assert.equal(flip(root, 'a'), 2);
  const hit = await world.tsbuild(['--progress=plain', '-t', 'a', context], { root });
  assert.deepEqual([hit.stdout.trim(), cached(hit.stderr), warnings(hit.stderr)], [digest, 2, []], 'a hit reads no file');
  const more = world.context({ Dockerfile: `${readFileSync(path.join(context, 'Dockerfile'))}\nRUN cat /a /b > /c\n` });
  const onTop = await world.tsbuild(['--progress=plain', '-t', 'a', more], { root });
  assert.equal(onTop.code, 0, onTop.stderr);
  assert.match(
    warnings(onTop.stderr).join('\n'),
    /^WARNING: The disk has changed files of the step RUN head .* > \/a, snapshot [a-f0-9]{12}: they are made again$/,
  );
  assert.equal(await show(root, 'cat', '/c'), before);
  const third = await world.tsbuild(['--progress=plain', '-t', 'a', more], { root });
  assert.deepEqual([cached(third.stderr), warnings(third.stderr)], [3, []]);
});

test('a step that no image has runs again where the disk has changed what it made', async () => {
  const stages = ['FROM busybox AS tools', 'RUN echo tool > /tool', 'FROM busybox', 'COPY --from=tools /tool /t'];
  const { root, context } = await built('stage', stages);
  assert.equal(flip(root, 'tool'), 1);
  const more = world.context({ Dockerfile: `${readFileSync(path.join(context, 'Dockerfile'))}\nCOPY --from=tools /tool /again\n` });
  const { code, stderr } = await world.tsbuild(['--progress=plain', '-t', 'a', more], { root });
  assert.equal(code, 0, stderr);
  assert.match(warnings(stderr).join('\n'), /the step RUN echo tool > \/tool, snapshot .*: they are made again$/);
  assert.equal(await show(root, 'cat', '/t', '/again'), 'tool\ntool');
});

test('a layer of a base image is unpacked again where the disk has changed it, though the step that reads it fails of that', async () => {
  const { root, context } = await built('base', ['FROM busybox', 'RUN true']);
  assert.equal(flip(root, 'bin/busybox'), 1);
  const more = world.context({ Dockerfile: `${readFileSync(path.join(context, 'Dockerfile'))}\nRUN echo fine > /fine\n` });
  const { code, stderr } = await world.tsbuild(['--progress=plain', '-t', 'a', more], { root });
  assert.equal(code, 0, stderr);
  assert.match(warnings(stderr).join('\n'), /the image layer sha256:[a-f0-9]{64}, snapshot .*: they are made again$/);
  assert.equal(await show(root, 'cat', '/fine'), 'fine');
});

test('a container runs in files that are unpacked again where the disk has changed them', async () => {
  const { root } = await built('run', ['FROM busybox', 'RUN true']);
  await show(root, 'true');
  flip(root, 'bin/busybox');
  const { code, stdout, stderr } = await world.tsbuild(['run', 'busybox', 'echo', 'fine'], { root });
  assert.deepEqual([code, stdout], [0, 'fine\n'], stderr);
  assert.match(stderr, /The disk has changed files of the image layer/);
});

test('files for a directory, and for a cache elsewhere, are looked at, too', async () => {
  const { root, context } = await built('outputs', ['FROM busybox AS a', 'RUN echo right > /a', 'FROM scratch', 'COPY --from=a /a /']);
  flip(root, 'a');
  const out = path.join(world.directory, 'outputs-out');
  await world.succeed(['-o', out, context], { root });
  assert.equal(readFileSync(path.join(out, 'a'), 'utf8'), 'right\n');
  flip(root, 'a');
  const cache = path.join(world.directory, 'outputs-cache');
  const failed = await world.tsbuild(['-t', 'a', '--cache-to', `type=local,dest=${cache},mode=max`, context], { root });
  if (failed.code !== 0) assert.match(failed.stderr, /ERR_TSBUILD_STORE_INVALID: Cannot use the files of the step RUN echo right/);
  await world.succeed(['-t', 'a', '--cache-to', `type=local,dest=${cache},mode=max`, context], { root });
});
