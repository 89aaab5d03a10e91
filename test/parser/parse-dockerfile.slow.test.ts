import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../src/errors.ts';
import { formatExcerpt } from '../../src/excerpt.ts';
import type { Dockerfile } from '../../src/parser/instruction.ts';
import { parseDockerfile } from '../../src/parser/parse-dockerfile.ts';
import { expectFile, readCases } from './_corpus.ts';

const VALID = 'fixtures/dockerfiles-parse';
const INVALID = 'fixtures/dockerfiles-invalid';

/** One line per instruction, so that a change reads well in a diff. */
function print({ directives, escape: escapeChar, instructions, warnings }: Dockerfile): string {
  const lines = (items: readonly { range?: Dockerfile['instructions'][number]['range'] }[]) =>
    items.map(({ range, ...item }) => {
      const place = range === undefined ? {} : { range: `${range.startLine}:${range.startColumn}-${range.endLine}:${range.endColumn}` };
      return `    ${JSON.stringify({ ...item, ...place })}`;
    });
  const list = (items: readonly object[]) => (items.length === 0 ? '[]' : `[\n${lines(items).join(',\n')}\n  ]`);
  const fields = [
    `"escape": ${JSON.stringify(escapeChar)}`,
    `"directives": ${list(directives)}`,
    `"instructions": ${list(instructions)}`,
    `"warnings": ${list(warnings)}`,
  ];
  return `{\n  ${fields.join(',\n  ')}\n}\n`;
}

for (const { name, text } of readCases(VALID)) {
  test(`parseDockerfile reads the case ${name}`, () => {
    expectFile(`${VALID}/${name}/expected.json`, print(parseDockerfile(text, { file: 'Dockerfile' })));
  });
}

test('the corpus of valid Dockerfiles has at least 60 cases', () => {
  assert.ok(readCases(VALID).length >= 60);
});

for (const { name, text } of readCases(INVALID)) {
  test(`parseDockerfile refuses the case ${name}`, () => {
    const error = failureOf(text);
    assert.ok(error.location !== undefined);
    const { startLine, startColumn, endLine, endColumn } = error.location.range;
    const lines = [
      formatExcerpt(error.location),
      `${error.code}: ${error.message}`,
      `at ${startLine}:${startColumn}-${endLine}:${endColumn}`,
    ];
    expectFile(
      `${INVALID}/${name}/expected.txt`,
      `${[...lines, ...(error.hint === undefined ? [] : [`hint: ${error.hint}`])].join('\n')}\n`,
    );
  });
}

function failureOf(text: string): TsbuildError {
  try {
    parseDockerfile(text, { file: 'Dockerfile' });
  } catch (error) {
    assert.ok(error instanceof TsbuildError, String(error));
    assert.match(error.message, /^[A-Z].*[^.]$/s);
    return error;
  }
  throw new assert.AssertionError({ message: 'expected a TsbuildError' });
}

/** Throws unless it is an error of ours with a place inside the text. */
function checkAny(text: string): void {
  try {
    const { instructions } = parseDockerfile(text, { file: 'Dockerfile' });
    const lineCount = text.split('\n').length;
    for (const { range } of instructions) assert.ok(range.startLine <= range.endLine && range.endLine <= lineCount);
  } catch (error) {
    assert.ok(error instanceof TsbuildError, String(error));
    assert.ok(error.location !== undefined, error.message);
    formatExcerpt(error.location);
  }
}

const PIECES = fc.oneof(
  fc.constantFrom(
    'FROM a',
    'RUN ',
    'COPY ',
    'ADD ',
    'ENV ',
    'ONBUILD ',
    'HEALTHCHECK ',
    'CMD ',
    'VOLUME ',
    'EXPOSE ',
    'LABEL ',
    'ARG ',
    'SHELL ',
  ),
  fc.constantFrom('\n', '\n', '\r\n', '\\\n', '`\n', ' ', '\t', '#', '# escape=`\n', '\ufeff', '\u0000', '\u2028', '\u00a0'),
  fc.constantFrom(
    '<<',
    '<<-',
    '<<EOF',
    'EOF',
    '3<<',
    '"',
    "'",
    '[',
    ']',
    '["a"]',
    '["a',
    '--',
    '--from=',
    '--link',
    '=',
    '$',
    '${',
    'CMD',
    'a',
    '😀',
    '\ud800',
  ),
  fc.string({ maxLength: 5 }),
);

test('parseDockerfile throws nothing but a TsbuildError with a place, whatever the pieces of the text', () => {
  fc.assert(
    fc.property(fc.array(PIECES, { maxLength: 30 }), (parts) => checkAny(`FROM a\n${parts.join('')}`)),
    { numRuns: 20_000 },
  );
});

test('parseDockerfile throws nothing but a TsbuildError with a place, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => checkAny(text)),
    { numRuns: 20_000 },
  );
});

test('parseDockerfile gives the RUN text back, however it is cut by continuations', () => {
  const word = fc.stringMatching(/^[a-z0-9=:.,;&|/-]{1,8}$/).filter((text) => !text.startsWith('-'));
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(' \\\n', '\\\n ', ' \\ \n# comment\n', ' \\\r\n'),
      (words, cut) => {
        const { instructions } = parseDockerfile(`FROM a\nRUN ${words.join(cut)}\n`, { file: 'Dockerfile' });
        const run = instructions[1];
        assert.ok(run?.kind === 'run' && run.command.form === 'shell');
        assert.equal(run.command.script, words.join(' '));
      },
    ),
  );
});

test('parseDockerfile keeps any heredoc body as it is', () => {
  fc.assert(
    fc.property(fc.array(fc.string().filter((line) => !line.includes('\n') && line !== 'END')), (lines) => {
      const body = lines.map((line) => `${line}\n`).join('');
      const { instructions } = parseDockerfile(`FROM a\nCOPY <<END /x\n${body}END\nCMD x\n`, { file: 'Dockerfile' });
      const copy = instructions[1];
      assert.ok(copy?.kind === 'copy' && copy.sources[0]?.kind === 'heredoc');
      assert.ok(['END\r'].every((line) => !lines.includes(line)) ? copy.sources[0].heredoc.body === body : true);
      assert.equal(instructions.length, 3);
    }),
  );
});

test('parseDockerfile takes time in proportion to the text', (context) => {
  const shapes = new Map<string, (size: number) => string>([
    ['instructions', (size) => `FROM a\n${'RUN x y\n'.repeat(size / 8)}`],
    ['one continuation', (size) => `FROM a\nRUN x${' \\\n y'.repeat(size / 5)}\n`],
    ['a heredoc', (size) => `FROM a\nRUN <<EOF\n${'a line\n'.repeat(size / 7)}EOF\n`],
    ['heredocs', (size) => `FROM a\n${'COPY <<E /x\ny\nE\n'.repeat(size / 16)}`],
    ['comments', (size) => `# a\n${'#  b\n'.repeat(size / 5)}FROM a\n`],
    ['variables', (size) => `FROM a\nENV A=1${' \\\nB="x y"'.repeat(size / 10)}\n`],
    ['blanks', (size) => `FROM a\n${`${' '.repeat(60_000)}\\\n`.repeat(size / 60_000)}`],
  ]);
  for (const [name, make] of shapes) {
    const [small, large] = [5e6, 10e6].map((size) => timeOf(make(size)));
    context.diagnostic(`${name}: 5 MB ${small?.toFixed(0)} ms, 10 MB ${large?.toFixed(0)} ms`);
  }
});

function timeOf(text: string): number {
  const start = performance.now();
  checkAny(text);
  return performance.now() - start;
}
