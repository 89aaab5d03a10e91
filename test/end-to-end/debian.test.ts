import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startRegistry } from '../registry/_docker-registry.ts';
import { copyBack, judgeImages, runByRunc } from './_judges.ts';
import { emptyWorld, type World } from './_world.ts';

let world: World;

before(() => {
  world = emptyWorld();
});
after(async () => await world[Symbol.asyncDispose]());

test('examples/hello builds on a real Debian with apt in RUN, is pushed, comes back through skopeo, and runs', {
  timeout: 20 * 60_000,
}, async () => {
  const rootfs = path.join(world.directory, 'debian.tar');
  execFileSync('scripts/debian-rootfs.sh', [rootfs], { stdio: 'inherit' });
  await world.succeed(['import', rootfs, 'debian:bookworm']);
  const context = path.join(mkdtempSync(path.join(world.directory, 'hello-')), 'hello');
  cpSync('examples/hello', context, { recursive: true });
  await using registry = await startRegistry();
  const name = `${registry.host}/hello:1`;
  const digest = await world.succeed(['-t', 'app:1', context]);
  await world.succeed(['tag', 'app:1', name]);
  assert.equal(await world.succeed(['push', name]), digest);
  assert.match(await world.succeed(['run', 'app:1']), /hello/i);

  const second = await world.tsbuild(['-t', 'app:1', '--progress', 'plain', context]);
  assert.equal(second.stdout.trim(), digest);
  assert.doesNotMatch(second.stderr, /^#\d+ \d+\.\d+ /m, 'no step printed anything: none ran');

  const layout = path.join(world.directory, 'layout');
  copyBack(name, layout);
  const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  assert.equal(index.manifests[0]?.digest, digest);

  const bundle = path.join(world.directory, 'bundle');
  execFileSync('umoci', ['unpack', '--image', `${layout}:judged`, bundle], { stdio: 'pipe' });
  assert.match(runByRunc(bundle), /hello/i);
  assert.equal(await judgeImages(world), 3);
});
