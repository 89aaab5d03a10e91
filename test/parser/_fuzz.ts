/** Dockerfiles made by mutating those of fixtures, and what must hold for each: see fuzz.test.ts and scripts/fuzz-parser.sh. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { lintSubject } from '../../src/builder/plan/lint-subject.ts';
import { planBuild } from '../../src/builder/plan/plan-build.ts';
import { type SourceRange, TsbuildError } from '../../src/errors.ts';
import { formatExcerpt } from '../../src/excerpt.ts';
import type { Dockerfile } from '../../src/parser/instruction.ts';
import { lintDockerfile, lintOptionsOf } from '../../src/parser/lint/lint-dockerfile.ts';
import { parseDockerfile } from '../../src/parser/parse-dockerfile.ts';
import { type Random, randomWord } from './_random.ts';

const DIRECTORIES = ['dockerfiles', 'dockerfiles-parse', 'dockerfiles-invalid'];
const PLATFORM = { os: 'linux', architecture: 'amd64' };
const PLATFORMS = { platform: PLATFORM, buildPlatform: PLATFORM };
const BUILD_ARGS: ReadonlyMap<string, string> = new Map([
  ['A', 'x'],
  ['BASE', 'scratch'],
]);
const LENGTH_MAX = 20_000;

const KEYWORDS =
  'FROM RUN COPY ADD ENV ARG LABEL WORKDIR USER CMD ENTRYPOINT EXPOSE VOLUME STOPSIGNAL SHELL HEALTHCHECK ONBUILD MAINTAINER'.split(' ');
const TOKENS = [
  ...[
    '\\',
    '`',
    '\\\n',
    '`\n',
    '\n',
    '\r\n',
    '\r',
    ' ',
    '\t',
    '\f',
    '\v',
    '#',
    '# escape=`\n',
    '# check=skip=all\n',
    '# check=x\n',
    '# syntax=x\n',
  ],
  ...[
    '<<',
    '<<-',
    '<<EOF',
    '<<"E"',
    'EOF\n',
    '3<<X',
    '"',
    "'",
    '[',
    ']',
    '["a", "b"]',
    '["a"',
    ',',
    '=',
    '$',
    '${',
    '}',
    '--',
    '--from=',
    '--mount=',
  ],
  ...[
    'type=cache,target=/x',
    '--link',
    '--chmod=',
    '--platform=',
    'AS a',
    'a',
    'scratch',
    '\0',
    '\u2028',
    '\u00a0',
    '\ufeff',
    '\ud800',
    '\u{10ffff}',
    '𝔞',
  ],
];

/** Every Dockerfile of the fixtures. */
export function readSeeds(): string[] {
  return DIRECTORIES.flatMap((directory) => {
    const root = path.join('fixtures', directory);
    const cases = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return cases.map(({ name }) => readFileSync(path.join(root, name, 'Dockerfile'), 'latin1')).filter(({ length }) => length < LENGTH_MAX);
  });
}

/** One to six mutations of a seed: of its lines, of the language's tokens, of single characters. */
export function mutate(from: Random, seeds: readonly string[]): string {
  let text = from.pick(seeds);
  for (let count = 1 + from.below(from.pick([1, 2, 6])); count > 0; count--) text = mutateOnce(from, text, seeds);
  return text.slice(0, LENGTH_MAX);
}

function mutateOnce(from: Random, text: string, seeds: readonly string[]): string {
  const at = from.below(text.length + 1);
  const end = Math.min(text.length, at + from.below(12));
  const lines = text.split('\n');
  const line = from.below(lines.length);
  const insert = (piece: string, until = at) => text.slice(0, at) + piece + text.slice(until);
  switch (from.below(11)) {
    case 0:
      return insert(from.pick(TOKENS));
    case 1:
      return insert(from.pick(TOKENS), end);
    case 2:
      return insert('', end);
    case 3:
      return insert(String.fromCharCode(from.below(from.pick([128, 256, 65_536]))), from.pick([at, end]));
    case 4:
      return lines.toSpliced(line, from.below(2), lines[from.below(lines.length)] ?? '').join('\n');
    case 5:
      return lines.toSpliced(line, 1).join('\n');
    case 6:
      return lines.toSpliced(line, from.below(2), from.pick(from.pick(seeds).split('\n'))).join('\n');
    case 7:
      return lines.toSpliced(line, 0, `${from.pick(KEYWORDS)} ${from.pick(TOKENS)}${from.pick(TOKENS)}`).join('\n');
    case 8:
      return insert(randomWord(from, from.pick(['\\', '`']), 2));
    case 9:
      return lines.toSpliced(line, 1, `${from.pick(KEYWORDS)} ${randomWord(from, '\\', 2)} ${randomWord(from, '\\', 1)}`).join('\n');
    default:
      return insert(text.slice(at, end).repeat(1 + from.below(50)), end);
  }
}

export type Outcome = 'planned' | 'rejected by the plan' | 'rejected by the parser';

/** Throws an AssertionError, or what escaped, unless all that is promised holds. */
export function check(text: string): Outcome {
  const dockerfile = attempt(text, () => parseDockerfile(text, { file: 'Dockerfile' }));
  if (dockerfile === undefined) return 'rejected by the parser';
  assert.deepEqual(parseDockerfile(text, { file: 'Dockerfile' }).instructions, dockerfile.instructions);
  const size = sizeOf(text);
  for (const { range } of [...dockerfile.instructions, ...dockerfile.warnings]) checkRange(range, size);
  attempt(text, () => lint(dockerfile, size));
  const plan = attempt(text, () => planBuild(dockerfile, { ...PLATFORMS, buildArgs: BUILD_ARGS }));
  return plan === undefined ? 'rejected by the plan' : 'planned';
}

function lint(dockerfile: Dockerfile, size: readonly number[]): void {
  const subject = lintSubject(dockerfile, { ...PLATFORMS, buildArgs: BUILD_ARGS, built: 'all' });
  for (const { range } of lintDockerfile(subject, lintOptionsOf(dockerfile, undefined))) checkRange(range, size);
}

/** undefined where `act` throws an error for users, with a place inside the text. */
function attempt<T>(text: string, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    assert.ok(error.location !== undefined, `No place: ${error.message}`);
    checkRange(error.location.range, sizeOf(text));
    formatExcerpt(error.location);
    return undefined;
  }
}

/** Lengths of the lines. */
function sizeOf(text: string): number[] {
  return text.split('\n').map(({ length }) => length);
}

function checkRange({ startLine, startColumn, endLine, endColumn }: SourceRange, size: readonly number[]): void {
  const inside = (line: number, column: number) => column >= 0 && column <= (size[line - 1] ?? -1);
  const ordered = startLine < endLine || (startLine === endLine && startColumn <= endColumn);
  assert.ok(
    ordered && inside(startLine, startColumn) && inside(endLine, endColumn),
    `${startLine}:${startColumn}-${endLine}:${endColumn} is not in the text`,
  );
}
