/**
 * Records what a real BuildKit makes of random words: `scripts/record-expansion.sh [COUNT]` writes fixtures/expansion/words.json.
 * TSBUILD_RECORD_DOCKER is the command line of docker, by default `docker`; its daemon must see this machine's temporary files.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pLimit from 'p-limit';
import { random, randomWord, VARIABLES } from './_random.ts';

/** A word and its value; null: BuildKit rejects it. */
export type Recorded = readonly [word: string, value: string | null];

const [DOCKER = 'docker', ...DOCKER_ARGS] = (process.env['TSBUILD_RECORD_DOCKER'] ?? 'docker').split(' ');
const PER_BUILD = 100;
/** Lines of the Dockerfile before the first word. */
const HEAD = 3;
/** Words stand between these, so that none is a flag or ends with an escape. */
const [BEFORE, AFTER] = ['=', '.'];

const run = promisify(execFile);
const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-expansion-'));
const limit = pLimit(availableParallelism());
let builds = 0;

try {
  const count = Number(process.argv[2] ?? 4000);
  const result = {
    variables: Object.fromEntries(VARIABLES),
    words: { '\\': await recordWords('\\', count), '`': await recordWords('`', count / 4) },
  };
  writeFileSync('fixtures/expansion/words.json', JSON.stringify(result).replaceAll('],[', '],\n['));
} finally {
  rmSync(directory, { recursive: true });
}

async function recordWords(escapeChar: string, count: number): Promise<Recorded[]> {
  const from = random(escapeChar.charCodeAt(0));
  const words = new Set<string>();
  while (words.size < count) words.add(randomWord(from, escapeChar));
  const all = [...words];
  const groups = Array.from({ length: Math.ceil(count / PER_BUILD) }, (_, index) => all.slice(index * PER_BUILD, (index + 1) * PER_BUILD));
  return (await Promise.all(groups.map((group) => limit(() => recordGroup(escapeChar, group))))).flat();
}

/** Builds until nothing is rejected any more; a rejected word is named by its line. */
async function recordGroup(escapeChar: string, words: readonly string[]): Promise<Recorded[]> {
  const values = new Map<string, string | null>();
  let left = words;
  for (;;) {
    const answer = await build(escapeChar, left);
    if (Array.isArray(answer)) {
      for (const [index, word] of left.entries()) values.set(word, answer[index] ?? null);
      return words.map((word) => [word, values.get(word) ?? null]);
    }
    const rejected = left[answer - HEAD - 1];
    if (rejected === undefined) throw new Error(`Line ${answer} has no word`);
    values.set(rejected, null);
    left = left.filter((word) => word !== rejected);
  }
}

/** The values in order, or the line that was rejected. */
async function build(escapeChar: string, words: readonly string[]): Promise<string[] | number> {
  const name = `words${++builds}`;
  const context = path.join(directory, name);
  const env = [...VARIABLES].map(([key, value]) => `${key}='${value}'`).join(' ');
  mkdirSync(context);
  const lines = [`# escape=${escapeChar}`, 'FROM busybox:corpus', `ENV ${env}`, ...words.map((word) => `USER ${BEFORE}${word}${AFTER}`)];
  writeFileSync(path.join(context, 'Dockerfile'), `${lines.join('\n')}\n`);
  const tag = `tsbuild-expansion:${name}`;
  try {
    await run(DOCKER, [...DOCKER_ARGS, 'buildx', 'build', '--provenance=false', '--progress=plain', '-t', tag, context], {
      maxBuffer: 1 << 26,
    });
  } catch (error) {
    const line = /^ *(\d+) \| >>>/m.exec(String((error as { stderr?: string }).stderr))?.[1];
    if (line === undefined) throw error;
    return Number(line);
  }
  const { stdout } = await run(DOCKER, [...DOCKER_ARGS, 'history', '--no-trunc', '--format', '{{json .CreatedBy}}', tag], {
    maxBuffer: 1 << 26,
  });
  await run(DOCKER, [...DOCKER_ARGS, 'rmi', tag]);
  const entries = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as string);
  return entries
    .slice(0, words.length)
    .reverse()
    .map((entry) => entry.slice(`USER ${BEFORE}`.length, -AFTER.length));
}
