/** The archive of a layer compressed by this process, beside pigz and zstd on as many cores; and a build's export in each form. */
import { spawnSync } from 'node:child_process';
import { createReadStream, createWriteStream, lstatSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { compress, type PlainCompression } from '../src/layers/compress.ts';
import { type Bench, type Figure, median } from './_workload.ts';

const LIBRARIES = '/usr/lib';
const BYTES_MAX = 160 << 20;
const ROUNDS = 3;
const CHUNK_BYTES = 1 << 20;

interface Rival {
  readonly name: string;
  readonly ours: PlainCompression;
  /** Shell commands; `$0` is the archive, `$1` the output. */
  readonly theirs: string;
}

const CORES = availableParallelism();
const RIVALS: readonly Rival[] = [
  { name: 'gzip', ours: { type: 'gzip', level: 6 }, theirs: `pigz -n -6 -p${CORES} < "$0" > "$1"` },
  { name: 'zstd', ours: { type: 'zstd', level: 3 }, theirs: `zstd -q -3 -T${CORES} < "$0" > "$1"` },
];

/** In turns, so that what else the machine does is in both. */
export async function compression(bench: Bench): Promise<Figure[]> {
  const files = someLibraries();
  const archive = path.join(bench.directory, 'layer.tar');
  run('sh', ['-c', 'tar -cf "$0" -C "$1" --null -T -', archive, LIBRARIES], files.join('\0'));
  const figures: Figure[] = [{ name: 'archive', value: statSync(archive).size / 2 ** 20, unit: 'MiB' }];
  for (const rival of RIVALS) figures.push(...(await compare(bench, rival, archive)));
  return [...figures, ...exports(bench, archive)];
}

async function compare(bench: Bench, { name, ours, theirs }: Rival, archive: string): Promise<Figure[]> {
  const [mine, other] = [path.join(bench.directory, `mine.${name}`), path.join(bench.directory, `other.${name}`)];
  const program = theirs.split(' ')[0] ?? '';
  const hasProgram = spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  if (!hasProgram) console.log(`${name}: ${program} is not installed, so nothing stands beside our figure`);
  const times = { mine: [] as number[], other: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now();
    await pipeline(compress(createReadStream(archive, { highWaterMark: CHUNK_BYTES }), ours), createWriteStream(mine));
    times.mine.push(performance.now() - startedAt);
    if (hasProgram) times.other.push(run('sh', ['-c', theirs, archive, other]));
  }
  const own: Figure[] = [
    { name: `${name} -${ours.level}, ${CORES} cores: ours`, value: median(times.mine), unit: 'ms' },
    { name: `${name} -${ours.level}: ours, of the archive`, value: (100 * statSync(mine).size) / statSync(archive).size, unit: '%' },
  ];
  if (!hasProgram) return own;
  return [
    ...own,
    { name: `${name}: ${program}`, value: median(times.other), unit: 'ms' },
    { name: `${name}: our time of that of ${program}`, value: (100 * median(times.mine)) / median(times.other), unit: '%' },
    { name: `${name}: our size of that of ${program}`, value: (100 * statSync(mine).size) / statSync(other).size, unit: '%' },
  ];
}

/** The steps are in the cache; what is timed is the packing, and the archive. */
function exports(bench: Bench, archive: string): Figure[] {
  const context = bench.context({ Dockerfile: 'FROM scratch\nADD layer.tar /\n' });
  run('cp', [archive, path.join(context, 'layer.tar')]);
  bench.tsbuild(['-o', 'type=cacheonly', context]);
  return ['uncompressed', 'gzip', 'zstd', 'estargz'].map((kind) => {
    const { wallMs } = bench.tsbuild(['-o', `type=oci,dest=${path.join(bench.directory, `${kind}.tar`)},compression=${kind}`, context]);
    return { name: `export to an OCI archive, ${kind}`, value: wallMs, unit: 'ms' };
  });
}

/** Regular files in the order of their names, up to a size; the same on machines that have the same packages. */
function someLibraries(): string[] {
  const found: string[] = [];
  let bytes = 0;
  const visit = (directory: string): void => {
    for (const name of readdirSync(path.join(LIBRARIES, directory)).sort()) {
      const file = path.join(directory, name);
      const stat = lstatSync(path.join(LIBRARIES, file));
      if (bytes > BYTES_MAX) return;
      if (stat.isDirectory()) visit(file);
      else if (stat.isFile()) {
        found.push(file);
        bytes += stat.size;
      }
    }
  };
  visit('');
  return found;
}

/** Milliseconds. */
function run(command: string, args: readonly string[], input = ''): number {
  const startedAt = performance.now();
  const { status, stderr } = spawnSync(command, args, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stderr}`);
  return performance.now() - startedAt;
}
