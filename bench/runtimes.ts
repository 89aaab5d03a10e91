/**
 * The container of a trivial RUN by the runtimes that are installed, beside ours and in turns with each other: an overlay, namespaces
 * (a network of its own, with nothing in it), `echo > file`, and the end. What a build adds (a network that leads out, the diff, the commit) is in our figure only.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Bench, type Figure, median } from './_workload.ts';

const ROUNDS = 20;

interface Runtime {
  readonly name: string;
  /** A shell command that runs the bundle in the working directory. */
  readonly command: string;
}

// crun 1.8 refuses a machine with cgroup v1 and v2 side by side, so it is also shown version 2 alone, in the namespace of its mounts.
const ONLY_CGROUP_2 = 'umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup';
const RUNTIMES: readonly Runtime[] = [
  { name: 'unshare and chroot', command: 'exec unshare -pfnui chroot rootfs sh -c "echo 1 > /f"' },
  { name: 'runc', command: 'exec runc --root ../run-runc run bench-runc' },
  { name: 'crun', command: 'exec crun --root ../run-crun run bench-crun' },
  {
    name: 'crun, without cgroup, on version 2',
    command: `${ONLY_CGROUP_2} && exec crun --root ../run-crun --cgroup-manager=disabled run bench-crun`,
  },
];

/** Figures of each runtime that can run here; why the others cannot is printed. */
export function runtimes(bench: Bench): Figure[] {
  const bundle = makeBundle(bench.directory);
  if (bundle === undefined) return [];
  const able = RUNTIMES.filter((runtime) => canRun(runtime, bundle));
  const rounds = Array.from({ length: ROUNDS }, () => able.map(({ command }) => run(command, bundle).wallMs));
  return able.map(({ name }, index) => {
    const walls = rounds.map((walls) => walls[index] ?? Number.NaN);
    return { name: `trivial container: ${name}`, value: median(walls), unit: 'ms' };
  });
}

/** Layers in `lower`, and a configuration as runc writes it, without a terminal. */
function makeBundle(directory: string): string | undefined {
  const bundle = path.join(directory, 'bundle');
  for (const name of ['lower', 'rootfs']) mkdirSync(path.join(bundle, name), { recursive: true });
  const unpacked = spawnSync('tar', ['-xf', path.join(directory, 'busybox.tar'), '-C', path.join(bundle, 'lower')], { encoding: 'utf8' });
  if (unpacked.status !== 0) throw new Error(`tar ended with ${unpacked.status}\n${unpacked.stderr}`);
  const written = spawnSync('runc', ['spec', '-b', bundle], { encoding: 'utf8' });
  if (written.status !== 0) {
    console.log(`runtimes are not compared: runc writes no configuration (${written.error?.message ?? written.stderr.trim()})`);
    return undefined;
  }
  const file = path.join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as { process: object; root: object };
  const process = { ...config.process, terminal: false, args: ['sh', '-c', 'echo 1 > /f'] };
  writeFileSync(file, JSON.stringify({ ...config, process, root: { path: 'rootfs', readonly: false } }));
  return bundle;
}

function canRun({ name, command }: Runtime, bundle: string): boolean {
  const { status, stderr } = run(command, bundle);
  if (status !== 0) console.log(`${name} is not compared: ${stderr.trim().split('\n').at(-1)}`);
  return status === 0;
}

/** Mounts vanish with the namespace of `unshare`; upper and work are new each time. */
function run(command: string, bundle: string): { wallMs: number; status: number | null; stderr: string } {
  const script = `rm -rf upper work && mkdir upper work && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none rootfs && ${command}`;
  const startedAt = performance.now();
  const { status, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script], {
    cwd: bundle,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  return { wallMs: performance.now() - startedAt, status, stderr };
}
