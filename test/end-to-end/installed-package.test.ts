import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { emptyWorld, makeBusyboxRootfs, runCommand, type World } from './_world.ts';

let world: World;
let folder: string;

before(() => {
  world = emptyWorld();
  folder = path.join(world.directory, 'project');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'package.json'), '{"private":true,"type":"module"}');
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', world.directory], { stdio: 'pipe' });
  const tarball = readdirSync(world.directory).find((name) => name.endsWith('.tgz'));
  assert.ok(tarball);
  // The real thing: dependencies come from the registry of packages, and no script of theirs runs.
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', path.join(world.directory, tarball)], {
    cwd: folder,
    stdio: 'pipe',
  });
  makeBusyboxRootfs(path.join(world.directory, 'busybox.tar'));
});
after(async () => await world[Symbol.asyncDispose]());

describe('the package, installed with --ignore-scripts into an empty folder', () => {
  test('builds and runs an image from the command line', async () => {
    const command = async (...args: string[]) =>
      await runCommand(path.join(folder, 'node_modules/.bin/tsbuild'), args, {
        cwd: folder,
        env: { ...process.env, TSBUILD_ROOT: world.root },
      });
    const imported = await command('import', path.join(world.directory, 'busybox.tar'), 'busybox');
    assert.equal(imported.code, 0, imported.stderr);
    const context = world.context({
      Dockerfile: 'FROM busybox\nCOPY f* /\nRUN cat /file > /copy\nCMD ["cat", "/copy"]\n',
      file: 'installed',
    });
    const built = await command('-t', 'installed:1', context);
    assert.equal(built.code, 0, built.stderr);
    assert.equal((await command('run', 'installed:1')).stdout, 'installed');
  });

  test('builds from a program, with typed events and an AbortSignal', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo from the library\n' });
    const program = `
      import { build, TsbuildError } from 'tsbuild';
      const [root, context] = process.argv.slice(2);
      const kinds = new Set();
      let output = '';
      const onEvent = (event) => {
        kinds.add(event.kind);
        if (event.kind === 'step-output') output += Buffer.from(event.data).toString();
      };
      const { digest, names } = await build({ root, context, tags: ['library:1'], onEvent });
      const slow = build({ root, context, noCache: true, signal: AbortSignal.timeout(1) });
      const code = await slow.then(() => 'none', (error) => error instanceof TsbuildError && error.code);
      console.log(JSON.stringify({ digest, names, kinds: [...kinds].sort(), output, code }));`;
    writeFileSync(path.join(folder, 'program.mjs'), program);
    const { stdout, stderr, code } = await runCommand(process.execPath, ['program.mjs', world.root, context], { cwd: folder });
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout) as { digest: string; names: string[]; kinds: string[]; output: string; code: string };
    assert.match(result.digest, /^sha256:[a-f0-9]{64}$/);
    assert.deepEqual(result.names, ['docker.io/library/library:1']);
    assert.equal(result.output, 'from the library\n');
    assert.equal(result.code, 'ERR_TSBUILD_INTERRUPTED');
    for (const kind of ['plan', 'step-start', 'step-output', 'step-end', 'image']) assert.ok(result.kinds.includes(kind), kind);
  });
});
