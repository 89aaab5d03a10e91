import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RULES } from '../../../src/parser/lint/rules.ts';
import { found, lint } from './_lint.ts';

const FIXTURES = path.resolve('fixtures/lint');

interface Settings {
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly target?: string;
}

for (const name of readdirSync(FIXTURES).sort()) {
  test(`lintDockerfile() finds in ${name} what BuildKit finds, on the same lines`, () => {
    const file = (base: string): string | undefined => {
      const full = path.join(FIXTURES, name, base);
      return existsSync(full) ? readFileSync(full, 'utf8') : undefined;
    };
    const { buildArgs, target } = JSON.parse(file('case.json') ?? '{}') as Settings;
    const warnings = lint(file('Dockerfile') ?? '', { args: buildArgs, target, ignoreFile: file('.dockerignore') });
    const expected = (file('expected.txt') ?? '').split('\n').flatMap((line) => {
      const match = /^(\d+)-[\d,-]*?(\d+) (\w+): /.exec(line);
      return match === null ? [] : [`${match[1]}-${match[2]} ${match[3]}`];
    });
    assert.deepEqual(warnings.map(({ rule, range }) => `${range.startLine}-${range.endLine} ${rule}`).toSorted(), expected.toSorted());
  });
}

test('every rule of RULES finds something in a fixture or in a test here, and has its page', () => {
  const pages = readdirSync('docs/rules').filter((page) => page !== 'README.md');
  assert.deepEqual(pages.toSorted(), RULES.map(({ name }) => `${name}.md`).toSorted());
  for (const { name, description } of RULES) {
    const page = readFileSync(`docs/rules/${name}.md`, 'utf8');
    assert.match(page, new RegExp(`^# ${name}\n\n${description.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\.\n`));
  }
  const seen = readdirSync(FIXTURES)
    .map((name) => readFileSync(path.join(FIXTURES, name, 'expected.txt'), 'utf8'))
    .join('\n');
  const elsewhere = new Set(['InvalidBaseImagePlatform']);
  assert.deepEqual(
    RULES.filter(({ name }) => !elsewhere.has(name) && !seen.includes(` ${name}: `)).map(({ name }) => name),
    [],
  );
});

test('lintDockerfile() says what is wrong and what was meant', () => {
  assert.deepEqual(
    lint('FROM scratch AS Base\nARG COLOUR\nCOPY $COLOR /x\nCMD a\nCMD b').map(
      ({ range, rule, detail }) => `${range.startLine} ${rule} ${detail}`,
    ),
    [
      '1 StageNameCasing The stage name "Base" is not in lower case',
      '3 UndefinedVar No ARG or ENV above declares $COLOR (did you mean $COLOUR?)',
      '4 JSONArgsRecommended CMD runs a shell that gets the signals in its place',
      '4 MultipleInstructionsDisallowed This CMD has no effect: line 5 has another one',
      '5 JSONArgsRecommended CMD runs a shell that gets the signals in its place',
    ],
  );
});

test('lintDockerfile() leaves a rule out for the one instruction below a "# check=skip=" comment', () => {
  assert.deepEqual(found('FROM scratch\nCMD a\n# check=skip=JSONArgsRecommended,MultipleInstructionsDisallowed\nCMD b\n'), [
    '2 JSONArgsRecommended',
    '2 MultipleInstructionsDisallowed',
  ]);
  assert.deepEqual(found('FROM scratch\n# check=skip=all\n# why\nCMD a\n'), []);
  assert.deepEqual(found('FROM scratch\n# check=skip=all\n\nCMD a\n'), ['4 JSONArgsRecommended']);
  assert.deepEqual(found('FROM scratch\n# check=skip=NoEmptyContinuation\nRUN a \\\n\n  b\n'), []);
});

test('lintDockerfile() refuses a check option that does not exist, at its line', () => {
  assert.throws(() => lint('# check=foo=1\nFROM scratch\n'), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX', message: /check option "foo=1"/ });
  assert.throws(
    () => lint('FROM scratch\n# check=error=maybe\nRUN a\n'),
    (error: { location: { range: { startLine: number } } }) => error.location.range.startLine === 2,
  );
});

test('lintDockerfile() takes BUILDKIT_DOCKERFILE_CHECK in place of the directive', () => {
  const text = '# check=skip=all\n# wrong\nARG A\nFROM scratch\nWORKDIR x\n';
  assert.deepEqual(found(text), []);
  assert.deepEqual(found(text, { args: { BUILDKIT_DOCKERFILE_CHECK: 'skip=WorkdirRelativePath;experimental=all' } }), [
    '3 InvalidDefinitionDescription',
  ]);
});

test('lintDockerfile() knows the variables and the shell of a base image, and is silent about variables without it', () => {
  const text = 'FROM base:1 AS a\nCOPY $JAVA_HOME $NOPE /x\nCMD a\nFROM a\nCOPY $JAVA_HOME $NOPE /x\n';
  assert.deepEqual(found(text), ['3 JSONArgsRecommended']);
  const images = new Map([['base:1', { env: ['JAVA_HOME=/j'], hasShell: true, isForOtherPlatform: false }]]);
  assert.deepEqual(found(text, { images }), ['2 UndefinedVar', '5 UndefinedVar']);
});

test('InvalidBaseImagePlatform finds a base image that is there for other platforms only', () => {
  const images = new Map([['base:1', { env: [], hasShell: false, isForOtherPlatform: true }]]);
  assert.deepEqual(found('FROM base:1\n', { images }), ['1 InvalidBaseImagePlatform']);
});

test('CopyIgnoredFile sees through "./" and "..", and leaves alone what COPY can still read', () => {
  const text = 'FROM scratch\nCOPY ./ignored /a\nCOPY /ignored /b\nCOPY kept/../ignored /c\nCOPY . /d\nCOPY node /e\n';
  assert.deepEqual(found(text, { ignoreFile: '*\n!kept\nnode\n!node/back\n' }), [
    '2 CopyIgnoredFile',
    '3 CopyIgnoredFile',
    '4 CopyIgnoredFile',
  ]);
});

test('SecretsUsedInArgOrEnv lets names of public keys, files and versions pass', () => {
  assert.deepEqual(found('FROM scratch\nENV PUBLIC_KEY=1 TOKEN_FILE=2 KEY_VERSION=3\nENV MY_TOKEN=1\n'), ['3 SecretsUsedInArgOrEnv']);
});

test('lintDockerfile() takes time in proportion to the Dockerfile, stages that stand on each other too', () => {
  const chain = Array.from({ length: 3_000 }, (_, n) => `FROM ${n === 0 ? 'scratch' : `s${n - 1}`} AS s${n}\nENV A${n}=$A${n}\n`).join('');
  const flat = `FROM scratch\n${'# check=skip=UndefinedVar\nENV A=$B \\\n\n C=1\nCMD x\n'.repeat(5_000)}`;
  for (const text of [flat, chain]) {
    const startedAt = performance.now();
    lint(text);
    assert.ok(performance.now() - startedAt < 8000);
  }
});
