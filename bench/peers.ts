/**
 * The workloads of small steps beside BuildKit and buildah, in the same run and on the same files, where the environment names
 * commands that act as them (bench/README.md). Whole commands are timed, from start to end, ours too.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { type Bench, commandFrom, type Figure, median, words } from './_workload.ts';

interface Peer {
  readonly name: string;
  /** Makes the base image out of an archive of its files, and returns its name. */
  base(rootfs: string): string;
  /** Wall time of a build in milliseconds. */
  build(cache: 'use' | 'ignore', context: string): number;
}

const STEPS = 20;
const ROUNDS = 3;
const BASE = 'localhost/tsbuild-bench-base:latest';

export function peers(bench: Bench): Figure[] {
  const ours: Peer = {
    name: 'tsbuild',
    base: () => 'busybox',
    build: (cache, context) => bench.tsbuild([...noCache(cache), '-t', 'bench:1', context]).wallMs,
  };
  const others = [docker(), buildah()].filter((peer) => peer !== undefined);
  const rootfs = path.join(bench.directory, 'busybox.tar');
  const all = [ours, ...others].map((peer) => ({ peer, contexts: contexts(bench, peer.base(rootfs)) }));
  const rounds = Array.from({ length: ROUNDS }, () => all.map(({ peer, contexts: files }) => round(peer, files)));
  return (['run', 'cached'] as const).flatMap((workload) => {
    const medians = all.map((_, index) => median(rounds.map((figures) => figures[index]?.[workload] ?? Number.NaN)));
    const [own = Number.NaN] = medians;
    const what = workload === 'run' ? 'trivial RUN, by the wall' : `cached build of ${STEPS} steps`;
    return all.flatMap(({ peer }, index) => {
      const value = medians[index] ?? Number.NaN;
      const ratio = { name: `${what}: ${peer.name} / tsbuild`, value: value / own, unit: '×' };
      return [{ name: `${what}: ${peer.name}`, value, unit: 'ms' }, ...(index === 0 ? [] : [ratio])];
    });
  });
}

interface Contexts {
  readonly one: string;
  readonly many: string;
  readonly cached: string;
}

function contexts(bench: Bench, base: string): Contexts {
  const runs = (count: number) => Array.from({ length: count }, (_, i) => `RUN echo ${i} > /f${i}`);
  const steps = Array.from({ length: STEPS / 2 }, (_, i) => `COPY f${i} /f${i}\nRUN echo ${i} > /r${i}`);
  const files = Object.fromEntries(Array.from({ length: STEPS / 2 }, (_, i) => [`f${i}`, String(i)]));
  const dockerfile = (lines: readonly string[]) => `${[`FROM ${base}`, ...lines].join('\n')}\n`;
  return {
    one: bench.context({ Dockerfile: dockerfile(runs(1)) }),
    many: bench.context({ Dockerfile: dockerfile(runs(STEPS + 1)) }),
    cached: bench.context({ ...files, Dockerfile: dockerfile(steps) }),
  };
}

/** Peers take turns, so that what else the machine does meets all of them. */
function round(peer: Peer, { one, many, cached }: Contexts): { run: number; cached: number } {
  const bare = peer.build('ignore', one);
  const run = (peer.build('ignore', many) - bare) / STEPS;
  peer.build('use', cached);
  return { run, cached: peer.build('use', cached) };
}

function docker(): Peer | undefined {
  const command = commandFrom('TSBUILD_BENCH_DOCKER', 'BuildKit');
  if (command === undefined) return undefined;
  return {
    name: 'BuildKit',
    base(rootfs) {
      timed([...command, 'import', rootfs, BASE]);
      return BASE;
    },
    build: (cache, context) => timed([...command, 'buildx', 'build', ...noCache(cache), '-t', 'tsbuild-bench:1', context]).wallMs,
  };
}

function buildah(): Peer | undefined {
  const command = commandFrom('TSBUILD_BENCH_BUILDAH', 'buildah');
  if (command === undefined) return undefined;
  const options = words(process.env['TSBUILD_BENCH_BUILDAH_OPTIONS']);
  return {
    name: 'buildah',
    base(rootfs) {
      const container = timed([...command, 'from', 'scratch']).stdout.trim();
      timed([...command, 'add', container, rootfs, '/']);
      timed([...command, 'commit', container, BASE]);
      timed([...command, 'rm', container]);
      return BASE;
    },
    build: (cache, context) =>
      timed([...command, 'build', '--layers', ...options, ...noCache(cache), '-t', 'tsbuild-bench:1', context]).wallMs,
  };
}

function noCache(cache: 'use' | 'ignore'): string[] {
  return cache === 'ignore' ? ['--no-cache'] : [];
}

function timed([command = '', ...args]: readonly string[]): { wallMs: number; stdout: string } {
  const startedAt = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const wallMs = performance.now() - startedAt;
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${status}\n${stderr}`);
  return { wallMs, stdout };
}
