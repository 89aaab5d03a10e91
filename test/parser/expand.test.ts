// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the language under test
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../src/errors.ts';
import { expandWord, expandWords } from '../../src/parser/expand.ts';

const ROWS = readFileSync('fixtures/expansion.txt', 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('# ') && line !== '#')
  .map((line) => {
    const [input = '', variables = '', expected = '', ...more] = line.split(' | ').map((cell) => cell.trim().replaceAll('␠', ' '));
    assert.deepEqual(more, [], line);
    return { line, input, variables, expected };
  });

function readVariables(cell: string): Map<string, string> {
  return new Map(cell === '-' ? [] : cell.split(',').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

function expansionError(part: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TsbuildError);
    assert.equal(error.code, 'ERR_TSBUILD_EXPANSION');
    assert.ok(error.message.includes(part), `${error.message} includes ${part}`);
    return true;
  };
}

test('the table of expansions has at least 120 rows', () => {
  assert.ok(ROWS.length >= 120, `${ROWS.length} rows`);
});

for (const { line, input, variables, expected } of ROWS) {
  test(`expandWord follows the row: ${line}`, () => {
    const map = readVariables(variables);
    const act = () => expandWord(input, (name) => map.get(name), { escape: '\\' });
    if (expected.startsWith('!') && expected.length > 1) assert.throws(act, expansionError(expected.slice(1)));
    else assert.equal(act(), expected === '(empty)' ? '' : expected);
  });
}

test('expandWord takes the backtick as escape where a directive says so', () => {
  const expand = (word: string) => expandWord(word, (name) => (name === 'v' ? 'x' : undefined), { escape: '`' });
  assert.equal(expand('C:\\$v\\`$v'), 'C:\\x\\$v');
  assert.equal(expand('"`$v\\"'), '$v\\');
  // In a pattern it escapes nothing, and a backslash still does.
  assert.throws(() => expandWord('${p##*\\}', () => 'C:\\a\\b', { escape: '`' }), expansionError('a backslash stands before'));
  assert.equal(
    expandWord('${p##*\\\\}', () => 'C:\\a\\b', { escape: '`' }),
    'b',
  );
  assert.equal(
    expandWord('${p#`*}', () => '*b', { escape: '`' }),
    '*b',
  );
});

test('expandWord tells of plain variables that are not set, and of no others', () => {
  const unset: string[] = [];
  expandWord('$a ${b} ${c:-} ${d+x} $e "$f"', (name) => (name === 'e' ? '' : undefined), {
    escape: '\\',
    onUndefined: (name) => unset.push(name),
  });
  assert.deepEqual(unset, ['a', 'b', 'f']);
});

test('expandWords splits variables at blanks, but nothing in quotes', () => {
  const variables = new Map([
    ['P', '80 443/udp'],
    ['E', ''],
    ['S', ' 1 '],
  ]);
  const split = (word: string) => expandWords(word, (name) => variables.get(name), { escape: '\\' });
  assert.deepEqual(split('$P'), ['80', '443/udp']);
  assert.deepEqual(split('x${P}y'), ['x80', '443/udpy']);
  assert.deepEqual(split('"$P"'), ['80 443/udp']);
  assert.deepEqual(split('$E'), []);
  assert.deepEqual(split('$S'), ['1']);
  assert.deepEqual(split('$S$S'), ['1', '1']);
  assert.deepEqual(split('${Q:-7 8}'), ['7', '8']);
});

test('expandWord bounds its result, its depth and its work', () => {
  const big = 'a'.repeat(1024 * 1024);
  const expand = (word: string) => expandWord(word, (name) => (name === 'b' ? big : undefined), { escape: '\\' });
  assert.equal(expand('$b'), big);
  assert.throws(() => expand('x$b'), expansionError('longer than 1 MiB'));
  assert.throws(() => expand('"$b$b"'), expansionError('longer than 1 MiB'));
  assert.throws(() => expand(`${'${u:-'.repeat(200)}`), expansionError('nests deeper'));
  assert.equal(expand(`${'${u:-'.repeat(90)}x${'}'.repeat(90)}`), 'x');
  assert.throws(() => expand('${u:+$b}'.repeat(1000)), expansionError('too much work'));
  assert.throws(() => expand(`\${b//${'a'.repeat(500)}x/y}`), expansionError('too much work'));
});

test('expandWord throws nothing but an EXPANSION error, whatever the word', () => {
  const pieces = fc.constantFrom(
    '$',
    '{',
    '}',
    ':',
    '-',
    '+',
    '?',
    '#',
    '%',
    '/',
    '*',
    '\\',
    '"',
    "'",
    'a',
    'b',
    ' ',
    '$a',
    '${',
    '${a',
    '😀',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), fc.constantFrom('\\' as const, '`' as const), (parts, escapeChar) => {
      try {
        expandWord(parts.join(''), (name) => (name === 'a' ? 'value*' : undefined), { escape: escapeChar });
      } catch (error) {
        assert.ok(error instanceof TsbuildError, String(error));
        assert.equal(error.code, 'ERR_TSBUILD_EXPANSION');
      }
    }),
    { numRuns: 20_000 },
  );
});

test('expandWord leaves a single-quoted word as it is, and a word without special characters too', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const quoted = `'${text.replaceAll("'", `'"'"'`)}'`;
      assert.equal(
        expandWord(quoted, () => 'no', { escape: '\\' }),
        text,
      );
    }),
  );
});
