/** Directories of cases: an input, and the expected output beside it, which UPDATE_FIXTURES=1 rewrites. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Case {
  readonly name: string;
  readonly text: string;
}

export function readCases(directory: string): Case[] {
  return readdirSync(directory)
    .sort()
    .map((name) => ({ name, text: readFileSync(path.join(directory, name, 'Dockerfile'), 'utf8') }));
}

export function expectFile(file: string, actual: string): void {
  if (process.env.UPDATE_FIXTURES === '1') writeFileSync(file, actual);
  assert.equal(actual, readFileSync(file, 'utf8'));
}
