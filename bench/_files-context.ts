/** A context of 20,000 files, 240 MB in all, no two alike; another `seed` gives other contents. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const FILES = 20_000;
const FILES_PER_DIRECTORY = 100;

export function makeFiles(directory: string, seed: string): void {
  for (let index = 0; index < FILES; index++) {
    const file = path.join(directory, nameOf(index));
    if (index % FILES_PER_DIRECTORY === 0) mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, textOf(index, seed));
  }
}

export function nameOf(index: number): string {
  return `d${Math.floor(index / FILES_PER_DIRECTORY)}/file-${index}.txt`;
}

/** Some 300 bytes to 24 KB, as source files have them. */
function textOf(index: number, seed: string): string {
  return Array.from(
    { length: 6 + ((index * 7919) % 460) },
    (_, line) => `${seed} ${index} ${line * index} some words of a source file\n`,
  ).join('');
}
