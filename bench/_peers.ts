/**
 * Builders that are compared: our command line, and BuildKit and buildah where the environment names commands that act as them
 * (bench/README.md). All have the same base image, under the same name.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { type Bench, commandFrom, words } from './_workload.ts';

export const BASE = 'localhost/tsbuild-bench-base:latest';

export interface Build {
  readonly context: string;
  /** By default the cache is used. */
  readonly cache?: 'ignore';
  readonly tag?: string;
}

export interface Peer {
  readonly name: string;
  /** Milliseconds of whole commands, from start to end. */
  build(build: Build): Promise<number>;
  /** Of builds that are started at the same time: until the last has ended. */
  buildAll(builds: readonly Build[]): Promise<number>;
  /** A build of what is in the cache, into an OCI archive. */
  exportArchive(context: string, compression: Compression, file: string): Promise<number>;
}

export type Compression = 'gzip' | 'zstd' | 'uncompressed';

interface Commands {
  readonly name: string;
  readonly env?: NodeJS.ProcessEnv;
  build(build: Build): readonly string[];
  /** One after the other. */
  exportArchive(context: string, compression: Compression, file: string): readonly (readonly string[])[];
}

/** Ours first. Each has the base. */
export async function openPeers(bench: Bench): Promise<readonly [Peer, ...Peer[]]> {
  const rootfs = path.join(bench.directory, 'busybox.tar');
  bench.tsbuild(['import', rootfs, BASE]);
  return [peer(ours(bench)), ...[await docker(rootfs), await buildah(rootfs)].filter((found) => found !== undefined)];
}

function peer(commands: Commands): Peer {
  const { name, env } = commands;
  const buildAll = async (builds: readonly Build[]): Promise<number> => {
    const startedAt = performance.now();
    await Promise.all(builds.map((build) => run(commands.build(build), env)));
    return performance.now() - startedAt;
  };
  return {
    name,
    buildAll,
    build: async (build) => await buildAll([build]),
    async exportArchive(...wanted) {
      const startedAt = performance.now();
      for (const command of commands.exportArchive(...wanted)) await run(command, env);
      return performance.now() - startedAt;
    },
  };
}

function ours(bench: Bench): Commands {
  return {
    name: 'tsbuild',
    env: bench.env,
    build: ({ context, cache, tag = 'bench:1' }) => bench.command([...noCache(cache), '-t', tag, context]),
    exportArchive: (context, compression, file) => [bench.command(['-o', `type=oci,dest=${file},compression=${compression}`, context])],
  };
}

async function docker(rootfs: string): Promise<Peer | undefined> {
  const command = commandFrom('TSBUILD_BENCH_DOCKER', 'BuildKit');
  if (command === undefined) return undefined;
  await run([...command, 'import', rootfs, BASE]);
  const build = [...command, 'buildx', 'build'];
  return peer({
    name: 'BuildKit',
    build: ({ context, cache, tag = 'tsbuild-bench:1' }) => [...build, ...noCache(cache), '-t', tag, context],
    exportArchive: (context, compression, file) => [[...build, '-o', `type=oci,dest=${file},compression=${compression}`, context]],
  });
}

async function buildah(rootfs: string): Promise<Peer | undefined> {
  const command = commandFrom('TSBUILD_BENCH_BUILDAH', 'buildah');
  if (command === undefined) return undefined;
  const options = words(process.env['TSBUILD_BENCH_BUILDAH_OPTIONS']);
  const container = (await run([...command, 'from', 'scratch'])).trim();
  for (const step of [
    ['add', container, rootfs, '/'],
    ['commit', container, BASE],
    ['rm', container],
  ])
    await run([...command, ...step]);
  const build = ({ context, cache, tag = 'tsbuild-bench:1' }: Build) => [
    ...[...command, 'build', '--layers', ...options, ...noCache(cache), '-t', tag, context],
  ];
  return peer({
    name: 'buildah',
    build,
    exportArchive: (context, compression, file) => [
      build({ context }),
      [...command, 'push', ...pushOptions(compression), 'tsbuild-bench:1', `oci-archive:${file}`],
    ],
  });
}

/** The name of no compression is an option of its own. */
function pushOptions(compression: Compression): string[] {
  return compression === 'uncompressed' ? ['--disable-compression'] : ['--compression-format', compression, '--force-compression'];
}

function noCache(cache: Build['cache']): string[] {
  return cache === 'ignore' ? ['--no-cache'] : [];
}

/** Its standard output; throws with its messages where it fails. */
export async function run([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    output.stdout += String(data);
  });
  child.stderr.on('data', (data) => {
    output.stderr = (output.stderr + String(data)).slice(-10_000);
  });
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${String(code)}\n${output.stderr}`);
  return output.stdout;
}
