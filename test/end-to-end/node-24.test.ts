/** A newer Node than the one that runs the tests: native code, descriptors and worker threads change between versions. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

let world: World;
let node: string;

before(async () => {
  world = await makeWorld();
  const name = `node-linux-${process.arch}`;
  const project = path.join(world.directory, 'node-24');
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--silent'];
  execFileSync('npm', ['install', ...options, '--prefix', project, `${name}@24`], { stdio: ['ignore', 'ignore', 'inherit'] });
  node = path.join(project, 'node_modules', name, 'bin/node');
});
after(async () => await world[Symbol.asyncDispose]());

test('Node 24 builds an image with both launchers, finds it cached and runs it', async () => {
  assert.match(execFileSync(node, ['--version'], { encoding: 'utf8' }), /^v24\./);
  const context = world.context({
    Dockerfile:
      'FROM busybox AS a\nRUN echo made > /made; cat /proc/self/status > /status\nFROM busybox\nCOPY --from=a /made /status /\nCMD ["cat", "/made"]\n',
  });
  const tsbuild = (args: readonly string[], launcher = 'engine') =>
    runCommand(node, [BIN, ...args], { env: { ...process.env, TSBUILD_ROOT: world.root, TSBUILD_LAUNCHER: launcher } });
  for (const launcher of ['engine', 'helper']) {
    const built = await tsbuild(['-t', `${launcher}:24`, '--no-cache', context], launcher);
    assert.equal(built.code, 0, built.stderr);
    const ran = await tsbuild(['run', `${launcher}:24`], launcher);
    assert.deepEqual([ran.code, ran.stdout], [0, 'made\n'], ran.stderr);
    assert.match((await tsbuild(['run', `${launcher}:24`, 'cat', '/status'])).stdout, /CapBnd:\s+00000000a80425fb[\s\S]*Seccomp:\s+2\n/);
  }
  const again = await tsbuild(['-t', 'again:24', '--progress', 'plain', context]);
  assert.match(again.stderr, /CACHED/, again.stderr);
});
