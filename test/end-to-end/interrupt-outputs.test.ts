/** What an interrupted or killed build leaves of its outputs: nothing, or what the next one takes away. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { emptyWorld, runCommand, type World } from './_world.ts';

let world: World;
before(() => {
  world = emptyWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
const at = (...names: string[]): string => path.join(world.directory, ...names);

test('what a killed build has left is removed by the next one, and what a running one writes is not', async () => {
  const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: '1' });
  const place = at('tidied');
  mkdirSync(path.join(place, '.tsbuild.0123456789ab.tmp/deep'), { recursive: true });
  mkdirSync(path.join(place, '.tsbuild.held56789abc.tmp'));
  mkdirSync(path.join(place, '.tsbuild.00000000000f.tmp'));
  writeFileSync(path.join(place, '.a.tar.0123456789ab.tmp'), 'left');
  writeFileSync(path.join(place, '.b.tar.0123456789ab.tmp'), 'of another output');
  const holder = spawn('flock', [path.join(place, '.tsbuild.00000000000f.tmp'), 'sh', '-c', 'echo held; cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  try {
    await world.succeed(['build', '-o', place, '-o', `type=tar,dest=${place}/a.tar`, context]);
  } finally {
    holder.stdin.end();
    await once(holder, 'exit');
  }
  const left = ['.b.tar.0123456789ab.tmp', '.tsbuild.00000000000f.tmp', '.tsbuild.held56789abc.tmp', 'a.tar', 'x'];
  assert.deepEqual(readdirSync(place).sort(), left);
});

for (const [kind, output] of [
  ['an archive', 'type=oci,dest=OUT/a.tar'],
  ['a layout', 'type=oci,tar=false,dest=OUT/layout'],
  ['a directory', 'type=local,dest=OUT/new/deep'],
  ['a tar', 'type=tar,dest=OUT/t.tar'],
] as const) {
  test(`SIGINT while ${kind} is written leaves nothing behind`, async () => {
    const context = world.context({ Dockerfile: 'FROM scratch\nCOPY big /\n' });
    run('sh', '-c', 'mkdir "$0" && cd "$0" && head -c 400000000 /dev/urandom | split -a 4 -b 200000', path.join(context, 'big'));
    await world.succeed(['build', '-o', kind === 'an archive' || kind === 'a layout' ? 'type=image' : 'type=cacheonly', context]);
    const place = at(`interrupted ${kind}`);
    mkdirSync(place);
    const script = `"${process.execPath}" bin/tsbuild build -o "$2" "$0" & pid=$!; while ! ls -A "$1" | grep -q .; do kill -0 $pid || exit 3; done; kill -INT $pid; wait $pid`;
    const { code, stderr } = await runCommand('bash', ['-c', script, context, place, output.replace('OUT', place)], {
      env: { ...process.env, TSBUILD_ROOT: world.root },
    });
    assert.equal(code, 130, stderr);
    assert.deepEqual(readdirSync(place), []);
  });
}
