/** Independent judges of what we build: a real registry, skopeo, umoci. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startRegistry } from '../registry/_docker-registry.ts';
import type { World } from './_world.ts';

interface Manifest {
  readonly config: { readonly digest: string; readonly size: number };
  readonly layers: readonly { readonly digest: string; readonly size: number; readonly mediaType: string }[];
}

/**
 * Pushes every image of the world's store to a docker-registry, copies it back with skopeo, unpacks it with umoci, and
 * checks each digest, size, diffID and the history's count. Returns how many images were judged.
 */
export async function judgeImages(world: World): Promise<number> {
  await using registry = await startRegistry();
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-judges-'));
  try {
    const names = (await imageNames(world)).filter((name) => !name.includes('/judged-'));
    for (const [index, name] of names.entries())
      await judge(world, { name, remote: `${registry.host}/judged-${index}:1`, layout: path.join(directory, `oci-${index}`) });
    return names.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function judge(world: World, { name, remote, layout }: { name: string; remote: string; layout: string }): Promise<void> {
  await world.succeed(['tag', name, remote]);
  const digest = await world.succeed(['push', remote]);
  copyBack(remote, layout);
  const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  assert.equal(index.manifests[0]?.digest, digest, `${name}: skopeo read back another manifest`);
  checkLayout(name, layout, digest);
  execFileSync('umoci', ['unpack', '--image', `${layout}:judged`, `${layout}-bundle`], { stdio: 'pipe' });
  rmSync(layout, { recursive: true });
  rmSync(`${layout}-bundle`, { recursive: true });
  await world.succeed(['rmi', remote]);
}

/** `skopeo copy` from a plain-HTTP registry on loopback into an OCI layout under the tag `judged`. */
export function copyBack(remote: string, layout: string): void {
  execFileSync(
    'skopeo',
    ['--insecure-policy', 'copy', '--preserve-digests', '--src-tls-verify=false', `docker://${remote}`, `oci:${layout}:judged`],
    { stdio: 'pipe' },
  );
}

function checkLayout(name: string, layout: string, digest: string): void {
  const blob = (of: string) => readFileSync(path.join(layout, 'blobs', 'sha256', of.slice('sha256:'.length)));
  const manifest = JSON.parse(blob(digest).toString()) as Manifest;
  const config = JSON.parse(blob(manifest.config.digest).toString()) as {
    rootfs: { diff_ids: string[] };
    history: { empty_layer?: boolean }[];
  };
  for (const { digest: of, size } of [manifest.config, ...manifest.layers]) {
    assert.equal(sha256(blob(of)), of, `${name}: a blob is not its digest`);
    assert.equal(blob(of).length, size, `${name}: a blob has another size`);
  }
  assert.deepEqual(
    manifest.layers.map((layer) => uncompressedDigest(path.join(layout, 'blobs', 'sha256', layer.digest.slice('sha256:'.length)))),
    config.rootfs.diff_ids,
    `${name}: diffIDs`,
  );
  assert.equal(config.history.filter((entry) => entry.empty_layer !== true).length, manifest.layers.length, `${name}: history`);
}

/** By programs that are not ours; layers may be larger than memory. */
function uncompressedDigest(file: string): string {
  return `sha256:${execFileSync('sh', ['-c', 'gzip -dc "$0" | sha256sum', file], { encoding: 'utf8' }).slice(0, 64)}`;
}

/** Runs the bundle that umoci unpacked, without a terminal and without limits that need more privilege than ours; returns its output. */
export function runByRunc(bundle: string): string {
  const file = path.join(bundle, 'config.json');
  const spec = JSON.parse(readFileSync(file, 'utf8')) as { process: { terminal: boolean; rlimits?: unknown } };
  spec.process.terminal = false;
  delete spec.process.rlimits;
  writeFileSync(file, JSON.stringify(spec));
  const state = path.join(bundle, 'state');
  mkdirSync(state);
  return execFileSync('runc', ['--root', state, 'run', '--bundle', bundle, `tsbuild-test-${process.pid}`], { encoding: 'utf8' });
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Names of all images of the world's store. */
export async function imageNames(world: World): Promise<string[]> {
  return (JSON.parse(await world.succeed(['images', '--format', 'json'])) as { name: string }[]).map(({ name }) => name);
}
