/** COPY of 100,000 files and of a million, a thousand in each directory or all in one: whether time grows as their number does, and memory not at all. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { measuredBuild } from './_measured-build.ts';
import type { Bench, Figure } from './_workload.ts';

const FILES_PER_DIRECTORY = 1000;

export function millionFiles(bench: Bench): Figure[] {
  const [few, many] = [copyOf(bench, 100_000, FILES_PER_DIRECTORY), copyOf(bench, 1_000_000, FILES_PER_DIRECTORY)];
  const flat = copyOf(bench, 1_000_000, 1_000_000);
  return [
    { name: 'COPY of 100,000 files, wall', value: few.first.seconds, unit: 's' },
    { name: 'COPY of a million, wall', value: many.first.seconds, unit: 's' },
    { name: 'ten times the files, times as long', value: many.first.seconds / few.first.seconds, unit: '×', atMost: 11 },
    { name: 'COPY of 100,000 files, peak memory', value: few.first.mebibytes, unit: 'MiB' },
    { name: 'COPY of a million, peak memory', value: many.first.mebibytes, unit: 'MiB', atMost: 256 },
    { name: 'the same a million again, wall', value: many.again.seconds, unit: 's' },
    { name: 'the same a million again, peak memory', value: many.again.mebibytes, unit: 'MiB', atMost: 256 },
    { name: 'COPY of a million in one directory, wall', value: flat.first.seconds, unit: 's' },
    { name: 'COPY of a million in one directory, peak memory', value: flat.first.mebibytes, unit: 'MiB', atMost: 256 },
    { name: 'the same directory again, wall', value: flat.again.seconds, unit: 's' },
    { name: 'the same directory again, peak memory', value: flat.again.mebibytes, unit: 'MiB', atMost: 256 },
  ];
}

function copyOf(bench: Bench, files: number, perDirectory: number) {
  const context = bench.context({ Dockerfile: 'FROM scratch\nCOPY files /files/\n' });
  for (let index = 0; index < files; index++) {
    const directory = path.join(context, `files/d${Math.floor(index / perDirectory)}`);
    if (index % perDirectory === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, `file-${index}`), `${index}\n`);
  }
  const build = ['-t', `files:${files}-${perDirectory}`, context];
  const measured = { first: measuredBuild(bench, build), again: measuredBuild(bench, build) };
  rmSync(context, { recursive: true });
  return measured;
}
