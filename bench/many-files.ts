/** A context of 20,000 small files: its first COPY, one file changed, and nothing changed; `cp -a` of the same beside it. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Bench, type Figure, median } from './_workload.ts';

const FILES = 20_000;
const FILES_PER_DIRECTORY = 100;
const CHANGES = 3;
const CACHED_BUILDS = 5;

export function manyFiles(bench: Bench): Figure[] {
  const files = Object.fromEntries(Array.from({ length: FILES }, (_, i) => [nameOf(i), textOf(i)]));
  const context = bench.context({ ...files, Dockerfile: 'FROM busybox\nCOPY src /app\n' });
  const build = () => bench.tsbuild(['-t', 'many:1', context]).wallMs;
  const first = build();
  const changed = Array.from({ length: CHANGES }, (_, i) => {
    writeFileSync(path.join(context, nameOf(i)), `changed ${i}`);
    return build();
  });
  const cached = Array.from({ length: CACHED_BUILDS }, build);
  return [
    { name: `${FILES} files, first build`, value: first, unit: 'ms' },
    { name: `${FILES} files, one changed`, value: median(changed), unit: 'ms' },
    { name: `${FILES} files, fully cached`, value: median(cached), unit: 'ms', atMost: 600 },
    { name: `${FILES} files, cp -a alone`, value: copyMs(path.join(context, 'src'), path.join(bench.directory, 'copied')), unit: 'ms' },
  ];
}

function nameOf(index: number): string {
  return `src/d${Math.floor(index / FILES_PER_DIRECTORY)}/file-${index}.txt`;
}

/** From 200 bytes to 8 KiB, no two alike. */
function textOf(index: number): string {
  return `${index} some words of a source file\n`.repeat(6 + ((index * 7919) % 230));
}

function copyMs(from: string, to: string): number {
  const startedAt = performance.now();
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cp ended with ${status}\n${stderr}`);
  return performance.now() - startedAt;
}
