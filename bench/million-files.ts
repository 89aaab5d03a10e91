/** COPY of 100,000 files and of a million, a thousand in each directory: whether time grows as their number does, and memory not at all. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { measuredBuild } from './_measured-build.ts';
import type { Bench, Figure } from './_workload.ts';

const FILES_PER_DIRECTORY = 1000;

export function millionFiles(bench: Bench): Figure[] {
  const [few, many] = [copyOf(bench, 100_000), copyOf(bench, 1_000_000)];
  return [
    { name: 'COPY of 100,000 files, wall', value: few.first.seconds, unit: 's' },
    { name: 'COPY of a million, wall', value: many.first.seconds, unit: 's' },
    { name: 'ten times the files, times as long', value: many.first.seconds / few.first.seconds, unit: '×', atMost: 11 },
    { name: 'COPY of 100,000 files, peak memory', value: few.first.mebibytes, unit: 'MiB' },
    { name: 'COPY of a million, peak memory', value: many.first.mebibytes, unit: 'MiB', atMost: 256 },
    { name: 'the same a million again, wall', value: many.again.seconds, unit: 's' },
    { name: 'the same a million again, peak memory', value: many.again.mebibytes, unit: 'MiB', atMost: 256 },
  ];
}

function copyOf(bench: Bench, files: number) {
  const context = bench.context({ Dockerfile: 'FROM scratch\nCOPY files /files/\n' });
  for (let index = 0; index < files; index++) {
    const directory = path.join(context, `files/d${Math.floor(index / FILES_PER_DIRECTORY)}`);
    if (index % FILES_PER_DIRECTORY === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, `file-${index}`), `${index}\n`);
  }
  const build = ['-t', `files:${files}`, context];
  const measured = { first: measuredBuild(bench, build), again: measuredBuild(bench, build) };
  rmSync(context, { recursive: true });
  return measured;
}
