import assert from 'node:assert/strict';
import test from 'node:test';
import { formatExcerpt } from '../../src/excerpt.ts';
import { parseDuration } from '../../src/parser/duration.ts';
import { locate, type SourcePart } from '../../src/parser/location.ts';
import { parseDockerfile } from '../../src/parser/parse-dockerfile.ts';
import { didYouMean, editDistance, suggest } from '../../src/parser/suggest.ts';

const TEXT = 'FROM a\nCOPY --chown=1 \\\n  --from=b \\\n  <<EOF $x \\\n  /y\nbody\nEOF\nRUN z\n';

/** The text that the range of a part of the COPY covers. */
function textOf(part: SourcePart | undefined): string {
  const dockerfile = parseDockerfile(TEXT, { file: 'Dockerfile' });
  const copy = dockerfile.instructions[1];
  assert.ok(copy !== undefined);
  const { startLine, startColumn, endLine, endColumn } = locate(dockerfile, copy, part).range;
  const lines = TEXT.split('\n').slice(startLine - 1, endLine);
  return lines.length === 1 ? (lines[0] ?? '').slice(startColumn, endColumn) : lines.join('\n');
}

test('locate finds keyword, flags, arguments and variables of an instruction', () => {
  assert.equal(textOf({ kind: 'keyword' }), 'COPY');
  assert.equal(textOf({ kind: 'flag', name: 'from' }), '--from=b');
  assert.equal(textOf({ kind: 'argument', value: '/y' }), '/y');
  assert.equal(textOf({ kind: 'variable', name: 'x' }), '$x');
});

test('locate falls back to all lines of the instruction', () => {
  const all = TEXT.split('\n').slice(1, 7).join('\n');
  assert.equal(textOf(undefined), all);
  assert.equal(textOf({ kind: 'flag', name: 'link' }), all);
});

test('formatExcerpt marks the lines of the range and shows two around them', () => {
  const text = Array.from({ length: 12 }, (_, index) => `line ${index + 1}\n`).join('');
  const location = { file: 'Dockerfile', text, range: { startLine: 7, startColumn: 0, endLine: 8, endColumn: 6 } };
  const rule = '--------------------';
  const lines = [
    '   5 |     line 5',
    '   6 |     line 6',
    '   7 | >>> line 7',
    '   8 | >>> line 8',
    '   9 |     line 9',
    '  10 |     line 10',
  ];
  assert.equal(formatExcerpt(location), ['Dockerfile:7', rule, ...lines, rule].join('\n'));
  assert.equal(formatExcerpt(location, { context: 0 }), ['Dockerfile:7', rule, ...lines.slice(2, 4), rule].join('\n'));
});

test('formatExcerpt cuts long lines and long ranges, and lets no control character through', () => {
  const text = `RUN \u001b[2J\u0007\u202e${'x'.repeat(1000)}\n${'y\n'.repeat(100)}`;
  const excerpt = formatExcerpt({ file: 'D\u001b', text, range: { startLine: 1, startColumn: 0, endLine: 101, endColumn: 1 } });
  assert.match(excerpt, /^[\n -~]*$/);
  assert.ok(excerpt.split('\n').every((line) => line.length < 200));
  assert.match(excerpt, />>> \(81 more lines\)/);
});

test('suggest finds the nearest name, and none for a far one', () => {
  const names = ['RUN', 'COPY', 'ENV', 'HEALTHCHECK'];
  assert.equal(suggest('RNU', names), 'RUN');
  assert.equal(suggest('cpoy', names), 'COPY');
  assert.equal(suggest('HEALTCHECK', names), 'HEALTHCHECK');
  assert.equal(suggest('ABCDEF', names), undefined);
  assert.equal(suggest('x'.repeat(1000), names), undefined);
  assert.equal(didYouMean('RUNN', names), ' (did you mean RUN?)');
  assert.equal(didYouMean('form', ['from'], '--'), ' (did you mean --from?)');
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('ab', 'ba'), 1);
  assert.equal(editDistance('', 'abc'), 3);
});

test('parseDuration reads durations as Go writes them', () => {
  const cases: [string, number | undefined][] = [
    ['30s', 30e9],
    ['1h2m3.5s', 3723.5e9],
    ['500ms', 5e8],
    ['1.5h', 5400e9],
    ['.5s', 5e8],
    ['10us', 1e4],
    ['10µs', 1e4],
    ['0', 0],
    ['-1s', -1e9],
    ['+1s', 1e9],
  ];
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text);
  for (const text of ['', '30', 's', '1 s', '1s ', '1d', '--1s', '1..s', '9999999999h', 'x'.repeat(1000)])
    assert.equal(parseDuration(text), undefined, text);
});
