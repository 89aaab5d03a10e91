import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry } from '../registry/_docker-registry.ts';
import { copyBack, judgeImages, runByRunc } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

describe('images in and out', () => {
  test('--push pushes, pull brings the same image into another store, and a base is pulled by FROM', async () => {
    await using registry = await startRegistry();
    const name = `${registry.host}/team/app:1`;
    const digest = await world.succeed([
      '-t',
      name,
      '--push',
      world.context({ Dockerfile: 'FROM busybox\nRUN echo pushed > /pushed\nCMD ["cat", "/pushed"]\n' }),
    ]);
    const other = path.join(world.directory, 'other');
    assert.equal(await world.succeed(['pull', name], { root: other }), digest);
    assert.equal(await world.succeed(['run', name], { root: other }), 'pushed');
    const third = path.join(world.directory, 'third');
    await world.succeed(['-t', 'child:1', world.context({ Dockerfile: `FROM ${name}\nRUN cp /pushed /again\n` })], { root: third });
    assert.equal(await world.succeed(['run', 'child:1', 'cat', '/again'], { root: third }), 'pushed');
  });

  test('a second push sends no blob and a sibling repository gets them by mount', async () => {
    await using registry = await startRegistry();
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY f /f\n', f: 'mount me' });
    await world.succeed(['-t', `${registry.host}/one:1`, '--push', context]);
    const again = await world.tsbuild(['push', '--progress', 'json', `${registry.host}/one:1`]);
    assert.ok(
      states(again.stderr).every((state) => state === 'exists'),
      again.stderr,
    );
    await world.succeed(['tag', `${registry.host}/one:1`, `${registry.host}/two:1`]);
    const mounted = await world.tsbuild(['push', '--progress', 'json', `${registry.host}/two:1`]);
    assert.ok(states(mounted.stderr).filter((state) => state === 'mounted').length >= 2, mounted.stderr);
  });

  test('a wrong digest from the registry is refused and stores nothing', async () => {
    await using registry = await startRegistry();
    const name = `${registry.host}/wrong:1`;
    await world.succeed(['-t', name, '--push', world.context({ Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'right' })]);
    const { manifest } = JSON.parse(await world.succeed(['inspect', name])) as { manifest: { layers: { digest: string }[] } };
    const hex = String(manifest.layers[0]?.digest.slice(7));
    const blob = path.join(registry.directory, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
    const bytes = readFileSync(blob);
    bytes[5] = (bytes[5] ?? 0) ^ 0xff;
    writeFileSync(blob, bytes);
    const root = path.join(world.directory, 'wrong');
    const result = await world.tsbuild(['pull', name], { root });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /ERR_TSBUILD_DIGEST_MISMATCH/);
    assert.equal(await world.succeed(['images', '--quiet'], { root }), '');
  });

  test('save writes an archive that skopeo reads', async () => {
    const digest = await world.succeed(['-t', 'saved:1', world.context({ Dockerfile: 'FROM busybox\nRUN echo saved > /saved\n' })]);
    const archive = path.join(world.directory, 'saved.tar');
    await world.succeed(['save', '-o', archive, 'saved:1']);
    const raw = execFileSync('skopeo', ['inspect', '--raw', `oci-archive:${archive}`]);
    assert.equal(`sha256:${execFileSync('sha256sum', { input: raw, encoding: 'utf8' }).slice(0, 64)}`, digest);
  });

  test('an image that came back through skopeo runs by runc', async () => {
    await using registry = await startRegistry();
    const name = `${registry.host}/runc:1`;
    await world.succeed([
      '-t',
      name,
      '--push',
      world.context({ Dockerfile: 'FROM busybox\nRUN echo by-runc > /word\nENTRYPOINT ["/bin/cat", "/word"]\n' }),
    ]);
    const layout = path.join(world.directory, 'runc-layout');
    const bundle = path.join(world.directory, 'runc-bundle');
    copyBack(name, layout);
    execFileSync('umoci', ['unpack', '--image', `${layout}:judged`, bundle], { stdio: 'pipe' });
    assert.equal(runByRunc(bundle), 'by-runc\n');
  });

  test('rmi takes a name away and frees what no other name needs', async () => {
    const root = path.join(world.directory, 'rmi');
    await world.succeed(['-t', 'gone:1', world.context({ Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'x'.repeat(100_000) })], { root });
    await world.succeed(['tag', 'gone:1', 'stays:1'], { root });
    await world.succeed(['rmi', 'gone:1'], { root });
    assert.equal((await world.tsbuild(['inspect', 'gone:1'], { root })).code, 1);
    await world.succeed(['inspect', 'stays:1'], { root });
    await world.succeed(['rmi', 'stays:1'], { root });
    assert.equal(execFileSync('find', [path.join(root, 'blobs'), '-type', 'f'], { encoding: 'utf8' }), '');
  });

  test('every image of this suite passes the judges', { timeout: 5 * 60_000 }, async () => {
    assert.ok((await judgeImages(world)) >= 4);
  });
});

/** Final states of the transfers that a `--progress json` push reported. */
function states(stderr: string): string[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { kind: string; state?: string })
    .filter(({ kind, state }) => kind === 'transfer' && state !== 'running')
    .map(({ state }) => String(state));
}
