/**
 * An image of 1 GiB in 12 layers, pushed to docker-registry over loopback and pulled from it, in turns with skopeo and, where the
 * environment names a command that acts as docker (bench/README.md), with Docker. Each push finds an empty registry.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startRegistry } from '../test/registry/_docker-registry.ts';
import { type Bench, commandFrom, type Figure, median, words } from './_workload.ts';

const LAYERS = 12;
const LAYER_BYTES = Math.floor(1024 ** 3 / LAYERS);
const FILES = 40;
/** Few of them, and the machine's mood decides. */
const ROUNDS = 9;
const MEMORY_MAX_MIB = 200;

interface Measured {
  readonly wallMs: number;
  readonly peakMiB: number;
}

interface Peer {
  readonly name: string;
  push(host: string): Promise<Measured>;
  pull(host: string, round: number): Promise<Measured>;
}

export async function transfer(bench: Bench): Promise<Figure[]> {
  const image = makeImage(bench);
  const peers = [ours(bench), skopeo(bench, image), docker(image)].filter((peer) => peer !== undefined);
  await using source = await startRegistry();
  await ours(bench).push(source.host);
  bench.tsbuild(['-o', `type=registry,name=${source.host}/small:1`, bench.context({ Dockerfile: 'FROM scratch\nCOPY f /\n', f: '' })]);
  const rounds: { push: Measured; pull: Measured }[][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const figures = new Map<Peer, { push: Measured; pull: Measured }>();
    for (const peer of startingWith(round, peers)) {
      await using empty = await startRegistry();
      const push = await peer.push(empty.host);
      figures.set(peer, { push, pull: await peer.pull(source.host, round) });
    }
    rounds.push(peers.flatMap((peer) => figures.get(peer) ?? []));
  }
  const unpack = await buildOn(bench, source.host);
  return [
    ...figuresOf(
      peers,
      'push',
      rounds.map((row) => row.map(({ push }) => push)),
    ),
    ...figuresOf(
      peers,
      'pull',
      rounds.map((row) => row.map(({ pull }) => pull)),
    ),
    { name: 'transfer: a RUN on the image, fetched for it', value: unpack, unit: 'ms' },
  ];
}

/** Each peer comes after another one as often: what that left the disk and the caches to do is part of the time. */
function startingWith(round: number, peers: readonly Peer[]): readonly Peer[] {
  const first = round % peers.length;
  return [...peers.slice(first), ...peers.slice(0, first)];
}

function figuresOf(peers: readonly Peer[], what: string, rounds: readonly Measured[][]): Figure[] {
  const times = peers.map((_, index) => median(rounds.map((row) => row[index]?.wallMs ?? Number.NaN)));
  const [own = Number.NaN] = times;
  const peak = Math.max(...rounds.map(([first]) => first?.peakMiB ?? Number.NaN));
  return [
    ...peers.flatMap(({ name }, index) => {
      const value = times[index] ?? Number.NaN;
      const figure = { name: `transfer: ${what}, ${name}`, value, unit: 'ms' };
      return index === 0 ? [figure] : [figure, { name: `transfer: ${what}, tsbuild / ${name}`, value: own / value, unit: '×' }];
    }),
    { name: `transfer: ${what}, peak memory`, value: peak, unit: 'MiB', atMost: MEMORY_MAX_MIB },
  ];
}

interface Made {
  /** An OCI layout of it. */
  readonly layout: string;
  readonly context: string;
}

/** Files that shrink by a quarter, as text does less and programs do more. */
function makeImage(bench: Bench): Made {
  const context = bench.context({
    Dockerfile: `FROM scratch\n${Array.from({ length: LAYERS }, (_, i) => `COPY l${i} /l${i}`).join('\n')}\n`,
  });
  for (let layer = 0; layer < LAYERS; layer += 1) {
    mkdirSync(path.join(context, `l${layer}`));
    for (let file = 0; file < FILES; file += 1) {
      writeFileSync(path.join(context, `l${layer}`, `f${file}`), randomBytes(Math.floor(LAYER_BYTES / FILES)).toString('base64'));
    }
  }
  const layout = path.join(bench.directory, 'layout');
  bench.tsbuild([
    '-o',
    'type=image,name=transfer:1,compression-level=1',
    '-o',
    `type=oci,name=transfer:1,compression-level=1,tar=false,dest=${layout}`,
    context,
  ]);
  return { layout, context };
}

function ours(bench: Bench): Peer {
  return {
    name: 'tsbuild',
    async push(host) {
      bench.tsbuild(['tag', 'transfer:1', `${host}/transfer:1`]);
      return await measured(bench.command(['push', `${host}/transfer:1`]), bench.env);
    },
    async pull(host, round) {
      const root = path.join(bench.directory, `pulled-${round}`);
      // As the user's own: it has pulled before, and since the third time keeps what V8 made of the code.
      for (let before = 0; before < 3; before += 1) bench.tsbuild(['pull', '--root', root, `${host}/small:1`]);
      const pulled = await measured(bench.command(['pull', `${host}/transfer:1`]), { ...bench.env, TSBUILD_ROOT: root });
      rmSync(root, { recursive: true });
      return pulled;
    },
  };
}

/** The newest command of `TSBUILD_BENCH_SKOPEO`, else the machine's. */
function skopeo(bench: Bench, { layout }: Made): Peer {
  const command = words(process.env['TSBUILD_BENCH_SKOPEO'] ?? 'skopeo');
  return {
    name: 'skopeo',
    push: async (host) => await measured([...command, 'copy', '--dest-tls-verify=false', `oci:${layout}`, `docker://${host}/transfer:1`]),
    async pull(host, round) {
      const directory = path.join(bench.directory, `skopeo-${round}`);
      const pulled = await measured([...command, 'copy', '--src-tls-verify=false', `docker://${host}/transfer:1`, `oci:${directory}:1`]);
      rmSync(directory, { recursive: true });
      return pulled;
    },
  };
}

/** Docker's own store has the image; a pull unpacks it, too. */
function docker({ context }: Made): Peer | undefined {
  const command = commandFrom('TSBUILD_BENCH_DOCKER', 'Docker');
  if (command === undefined) return undefined;
  let isBuilt = false;
  return {
    name: 'docker',
    async push(host) {
      if (!isBuilt) await measured([...command, 'buildx', 'build', '-t', 'transfer:1', context]);
      isBuilt = true;
      await measured([...command, 'tag', 'transfer:1', `${host}/transfer:1`]);
      return await measured([...command, 'push', `${host}/transfer:1`]);
    },
    async pull(host) {
      const pulled = await measured([...command, 'pull', `${host}/transfer:1`]);
      await measured([...command, 'rmi', `${host}/transfer:1`]);
      return pulled;
    },
  };
}

/** A build whose base has to be fetched and unpacked. */
async function buildOn(bench: Bench, host: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const root = path.join(bench.directory, `built-${round}`);
    const context = bench.context({ Dockerfile: `FROM ${host}/transfer:1\nCOPY f /f\n`, f: String(round) });
    const { wallMs } = await measured(bench.command(['-o', 'type=cacheonly', context]), { ...bench.env, TSBUILD_ROOT: root });
    times.push(wallMs);
    rmSync(root, { recursive: true });
  }
  return median(times);
}

/** Wall time of a whole command, and the most memory that its process had. What others wrote is on the disk before. */
async function measured(command: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Measured> {
  const [program = '', ...args] = command;
  spawnSync('sync');
  const startedAt = performance.now();
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  let peakKiB = 0;
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-10_000);
  });
  const timer = setInterval(() => {
    peakKiB = Math.max(peakKiB, highWater(child.pid));
  }, 20);
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}\n${stderr}`);
  return { wallMs: performance.now() - startedAt, peakMiB: peakKiB / 1024 };
}

/** 0 where the process has ended. */
function highWater(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
