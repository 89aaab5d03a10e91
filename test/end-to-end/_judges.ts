/** Independent judges of what we build: a real registry, skopeo, umoci, podman, Docker, the image-spec's schemas. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startRegistry } from '../registry/_docker-registry.ts';
import { type DockerDaemon, startDocker } from './_docker.ts';
import type { World } from './_world.ts';

interface Manifest {
  readonly config: { readonly digest: string; readonly size: number };
  readonly layers: readonly { readonly digest: string; readonly size: number; readonly mediaType: string }[];
}

/**
 * Gives every image of the world's store to independent judges, and returns how many were judged:
 * a docker-registry keeps it, skopeo copies it there and back with every byte, umoci unpacks the tree that we unpack, podman and
 * Docker load it under the same id, and the JSON schemas of the image-spec hold. Digests, sizes, diffIDs and the history's count are
 * computed again.
 */
export async function judgeImages(world: World): Promise<number> {
  await using registry = await startRegistry();
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-judges-'));
  try {
    await using docker = await startDocker(directory);
    const names = (await imageNames(world)).filter((name) => !name.includes('/judged-'));
    for (const [index, name] of names.entries())
      await judge(world, { name, remote: `${registry.host}/judged-${index}:1`, layout: path.join(directory, `oci-${index}`), docker });
    return names.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Case {
  readonly name: string;
  readonly remote: string;
  readonly layout: string;
  readonly docker: DockerDaemon;
}

async function judge(world: World, { name, remote, layout, docker }: Case): Promise<void> {
  await world.succeed(['tag', name, remote]);
  const digest = await world.succeed(['push', remote]);
  copyBack(remote, layout);
  const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  assert.equal(index.manifests[0]?.digest, digest, `${name}: skopeo read back another manifest`);
  const config = checkLayout(name, layout, digest);
  copyThere(layout, remote);
  execFileSync('python3', ['-W', 'ignore', 'fixtures/judges/image-schema.py', layout], { stdio: 'pipe' });
  execFileSync('umoci', ['unpack', '--image', `${layout}:judged`, `${layout}-bundle`], { stdio: 'pipe' });
  await loadByPodman(world, { name, file: `${layout}.tar`, config });
  // Triggers would run in what is built on it.
  if (!hasTriggers(layout, config)) {
    await checkTree(world, { name, theirs: `${layout}-bundle/rootfs` });
    await loadByDocker(world, { name, file: `${layout}.tar`, docker });
  }
  for (const made of [layout, `${layout}-bundle`]) rmSync(made, { recursive: true });
  await world.succeed(['rmi', remote]);
}

/** What umoci unpacked beside what our output `local` writes: names, types, owners, modes, times, links, contents, attributes. */
async function checkTree(world: World, { name, theirs }: { name: string; theirs: string }): Promise<void> {
  const context = world.context({ Dockerfile: `FROM ${name}\n` });
  const ours = path.join(context, 'tree');
  await world.succeed(['-o', `type=local,dest=${ours}`, context]);
  const [mine, other] = [ours, theirs].map((root) => listTree(root).split('\n'));
  const differing = (other ?? []).filter((line, at) => line !== mine?.[at]).slice(0, 3);
  assert.deepEqual([differing, mine?.length], [[], other?.length], `${name}: umoci unpacks another tree`);
  rmSync(ours, { recursive: true });
}

/** Sizes and times of directories are left out: they are the file system's, and umoci's own where no layer has them. */
function listTree(root: string): string {
  const script = `cd "$0" && find . -mindepth 1 \\( -type d -printf '%P %y %m %U:%G\\n' -o -printf '%P %y %m %U:%G %n %s %T@ %l\\n' \\) | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
    getfattr --recursive --physical --match=- --absolute-names --encoding=hex . 2>/dev/null || true`;
  return execFileSync('sh', ['-c', script, root], { encoding: 'latin1', maxBuffer: 1 << 28 });
}

/** What `save` writes, kept under the config's digest. */
async function loadByPodman(world: World, { name, file, config }: { name: string; file: string; config: string }): Promise<void> {
  await world.succeed(['save', '-o', file, name]);
  const store = ['--root', `${file}-podman`, '--runroot', `${file}-run`, '--storage-driver', 'vfs'];
  const podman = (...args: string[]): string => execFileSync('podman', [...store, ...args], { encoding: 'utf8', stdio: 'pipe' });
  podman('load', '--quiet', '--input', file);
  assert.equal(podman('images', '--quiet', '--no-trunc').trim(), config, `${name}: podman has another image`);
  for (const made of [file, `${file}-podman`, `${file}-run`]) rmSync(made, { recursive: true, force: true });
}

/** What the output `docker` writes, kept under the digest of its config. */
async function loadByDocker(world: World, { name, file, docker }: { name: string; file: string; docker: DockerDaemon }): Promise<void> {
  const run = (...args: string[]): string => execFileSync(docker.program, args, { encoding: 'utf8', env: docker.env, stdio: 'pipe' });
  await world.succeed(['-o', `type=docker,dest=${file},name=judged:1`, world.context({ Dockerfile: `FROM ${name}\n` })]);
  const [entry] = JSON.parse(execFileSync('tar', ['-xOf', file, 'manifest.json'], { encoding: 'utf8' })) as { Config: string }[];
  const id = sha256(execFileSync('tar', ['-xOf', file, entry?.Config ?? '']));
  run('load', '--quiet', '--input', file);
  assert.equal(run('images', '--quiet', '--no-trunc', 'judged:1').trim(), id, `${name}: Docker has another image`);
  run('rmi', '--force', id);
  rmSync(file);
}

function hasTriggers(layout: string, config: string): boolean {
  const bytes = readFileSync(path.join(layout, 'blobs', 'sha256', config.slice('sha256:'.length)), 'utf8');
  return ((JSON.parse(bytes) as { config?: { OnBuild?: string[] } }).config?.OnBuild ?? []).length > 0;
}

/** `skopeo copy` from a plain-HTTP registry on loopback into an OCI layout under the tag `judged`. */
export function copyBack(remote: string, layout: string): void {
  execFileSync(
    'skopeo',
    ['--insecure-policy', 'copy', '--preserve-digests', '--src-tls-verify=false', `docker://${remote}`, `oci:${layout}:judged`],
    { stdio: 'pipe' },
  );
}

/** And the way back: the registry has the same manifest afterwards, or skopeo had to change it. */
function copyThere(layout: string, remote: string): void {
  execFileSync(
    'skopeo',
    ['--insecure-policy', 'copy', '--preserve-digests', '--dest-tls-verify=false', `oci:${layout}:judged`, `docker://${remote}-again`],
    { stdio: 'pipe' },
  );
}

/** Returns the config's digest. */
function checkLayout(name: string, layout: string, digest: string): string {
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
  return manifest.config.digest;
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
