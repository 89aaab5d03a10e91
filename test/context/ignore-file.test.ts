import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ignored, mayIncludeInside, parseIgnoreFile } from '../../src/context/ignore-file.ts';

/** Lines of an ignore file → path → whether it is ignored. Cases of reference/dockerfile 1.10 and of moby's documentation. */
const CASES: [lines: string, path: string, expected: boolean][] = [
  ['node_modules', 'node_modules', true],
  ['node_modules', 'node_modules/a/b', true],
  ['node_modules', 'a/node_modules', false],
  ['node_modules', 'node_modules2', false],
  ['/node_modules/', 'node_modules', true],
  ['  spaced  ', 'spaced', true],
  ['a/./b/../c', 'a/c', true],
  ['# comment', '# comment', false],
  [' # no comment', '# no comment', true],
  ['\uFEFFfirst', 'first', true],
  ['crlf\r\nother', 'crlf', true],
  ['*/temp*', 'somedir/temporary.txt', true],
  ['*/temp*', 'temp', false],
  ['*/*/temp*', 'a/b/temporary', true],
  ['temp?', 'tempa', true],
  ['temp?', 'temp', false],
  ['temp?', 'temp/', false],
  ['**/*.go', 'a.go', true],
  ['**/*.go', 'a/b/c.go', true],
  ['**', 'anything/at/all', true],
  ['**', '.hidden', true],
  ['*', '.hidden', true],
  ['a/**', 'a', false],
  ['a/**', 'a/b', true],
  ['a/**/b', 'a/b', true],
  ['a/**/b', 'a/x/y/b', true],
  ['a/**/b', 'axb', false],
  ['**/foo', 'foo', true],
  ['**/foo', 'xfoo', false],
  ['**/foo/bar', 'a/foo/bar/baz', true],
  ['**file', 'a/b/somefile', true],
  ['**file', 'file', true],
  ['a**/*.txt', 'a/b.txt', true],
  ['a**/*.txt', 'ab/c/d.txt', true],
  ['**/foo/**', 'foo', false],
  ['**/foo/**', 'x/foo/y', true],
  ['***', 'a', true],
  ['[a-c]x', 'bx', true],
  ['[^a-c]x', 'bx', false],
  ['[^a-c]x', 'dx', true],
  ['[!a]x', '!x', true],
  ['[!a]x', 'bx', false],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['\\!important', '!important', true],
  ['a.b', 'axb', false],
  ['(a|b)+$', '(a|b)+$', true],
  ['é?', 'éé', true],
  ['?', '😀', true],
  ['*.md\n!README.md', 'README.md', false],
  ['*.md\n!README*.md\nREADME-secret.md', 'README-secret.md', true],
  ['*.md\nREADME-secret.md\n!README*.md', 'README-secret.md', false],
  ['dir\n!dir/keep', 'dir/keep', false],
  ['dir\n!dir/keep', 'dir/keep/inside', false],
  ['dir\n!dir/keep', 'dir/other', true],
  ['*\n!src', 'src/main.c', false],
  ['*\n! src', 'src', false],
  ['!a', 'a', false],
  ['.', 'a', false],
  ['..', 'a', false],
  ['../a', 'a', false],
  ['', 'a', false],
];

test('ignored() decides as moby/patternmatcher documents', () => {
  for (const [lines, path, expected] of CASES) {
    assert.equal(ignored(parseIgnoreFile(lines), path).ignored, expected, `${JSON.stringify(lines)} on ${path}`);
  }
});

test('ignored() names the line that decided', () => {
  const rules = parseIgnoreFile('# first\n\n*.log\n!keep.log\n');
  const [logs, keep] = rules.rules;
  assert.deepEqual([logs?.line, logs?.text, keep?.line, keep?.text], [3, '*.log', 4, '!keep.log']);
  assert.deepEqual(ignored(rules, 'a.log'), { ignored: true, rule: logs });
  assert.deepEqual(ignored(rules, 'keep.log'), { ignored: false, rule: keep });
  assert.deepEqual(ignored(rules, 'a.txt'), { ignored: false });
});

test('parseIgnoreFile() refuses a malformed pattern and names its line', () => {
  assert.throws(() => parseIgnoreFile('ok\n[a'), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX', message: /\.dockerignore line 2/ });
  assert.throws(() => parseIgnoreFile('!'), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' });
});

test('mayIncludeInside() is true only where a ! line can match below', () => {
  const rules = parseIgnoreFile('*\n!a/b/*.c\n!**/deep.txt\n');
  const shallow = parseIgnoreFile('*\n!a/b/*.c\n!c*\n');
  assert.equal(mayIncludeInside(rules, 'z'), true);
  assert.equal(mayIncludeInside(shallow, 'a'), true);
  assert.equal(mayIncludeInside(shallow, 'a/b'), true);
  assert.equal(mayIncludeInside(shallow, 'a/x'), false);
  assert.equal(mayIncludeInside(shallow, 'b'), false);
  assert.equal(mayIncludeInside(shallow, 'cc'), true);
});

test('ignored() takes linear time on a pattern that makes regular expressions explode', () => {
  const rules = parseIgnoreFile(`${'**/a*'.repeat(40)}x`);
  const started = performance.now();
  ignored(rules, 'a'.repeat(4000));
  assert.ok(performance.now() - started < 2000);
});

/** The same meaning by brute force: a recursive matcher over the pattern's text, tried on the directories above the path and then on it. */
function oracle(lines: readonly string[], path: string): boolean {
  const names = path.split('/');
  const held = lines.map(() => false);
  let result = false;
  for (let depth = 1; depth <= names.length; depth++) {
    const prefix = names.slice(0, depth).join('/');
    result = false;
    for (const [index, line] of lines.entries()) {
      const isInclude = line.startsWith('!');
      held[index] ||= isInclude === result && slowMatch(line.replace(/^!/, ''), prefix, true);
      if (held[index]) result = !isInclude;
    }
  }
  return result;
}

function slowMatch(pattern: string, path: string, isStart: boolean): boolean {
  if (pattern === '') return path === '';
  if (pattern.startsWith('**')) {
    const rest = pattern.slice(pattern.startsWith('**/') ? 3 : 2);
    const isAny = rest === '' || (isStart && !pattern.startsWith('**/') && !/[*?]/.test(rest));
    for (let at = 0; at <= path.length; at++) {
      if ((isAny || at === 0 || path[at - 1] === '/') && slowMatch(rest, path.slice(at), false)) return true;
    }
    return false;
  }
  if (pattern.startsWith('*')) {
    for (let at = 0; at <= path.length; at++) {
      if (slowMatch(pattern.slice(1), path.slice(at), false)) return true;
      if (path[at] === '/') return false;
    }
    return false;
  }
  const matches = pattern.startsWith('?') ? path !== '' && path[0] !== '/' : pattern[0] === path[0];
  return matches && slowMatch(pattern.slice(1), path.slice(1), false);
}

test('ignored() agrees with a slow recursive matcher on any rules and path', () => {
  const name = fc.stringMatching(/^[ab]{1,3}$/);
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
  const part = fc.oneof(name, fc.constantFrom('*', '**', '?', 'a*', '*b', 'a**', '**b', 'a?b'));
  const line = fc
    .tuple(fc.boolean(), fc.array(part, { minLength: 1, maxLength: 4 }))
    .map(([not, parts]) => (not ? '!' : '') + parts.join('/'));
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), path, (lines, file) => {
      assert.equal(ignored(parseIgnoreFile(lines.join('\n')), file).ignored, oracle(lines, file));
    }),
    { numRuns: 5000 },
  );
});

test('mayIncludeInside() never misses a path that a ! line takes back in', () => {
  const name = fc.stringMatching(/^[ab]{1,2}$/);
  const names = fc.array(name, { minLength: 2, maxLength: 4 });
  const part = fc.oneof(name, fc.constantFrom('*', '**', '?', 'a*'));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), names, (parts, path) => {
      const rules = parseIgnoreFile(`**\n!${parts.join('/')}`);
      if (!ignored(rules, path.join('/')).ignored) {
        for (let depth = 1; depth < path.length; depth++) assert.ok(mayIncludeInside(rules, path.slice(0, depth).join('/')));
      }
    }),
    { numRuns: 3000 },
  );
});
