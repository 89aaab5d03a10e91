import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openDirectoryContext } from '../../src/context/directory-context.ts';
import { inClass, parseGoPattern } from '../../src/context/go-pattern.ts';
import { hasWildcard, matchSources } from '../../src/context/match-sources.ts';
import { type ByteString, fromText } from '../../src/tree/byte-string.ts';
import type { FileTree } from '../../src/tree/file-tree.ts';
import { makeDirectory } from './_tree.ts';

async function match(files: Record<string, string | undefined>, source: string): Promise<string[]> {
  using dir = makeDirectory(files);
  using context = openDirectoryContext(dir.path, undefined);
  return await matchSources(context, source);
}

const FILES = {
  'a.c': '',
  'b.c': '',
  '.hidden.c': '',
  'src/x.c': '',
  'src/deep/y.c': '',
  'lib/z.c': '',
  'arr[0].txt': '',
  '!n': '',
  xn: '',
};

test('matchSources() follows Go: dotfiles match, a star ends at a slash, ** is one star', async () => {
  const cases: [string, string[]][] = [
    ['*.c', ['.hidden.c', 'a.c', 'b.c']],
    ['/*.c', ['.hidden.c', 'a.c', 'b.c']],
    ['./x/../*.c', ['.hidden.c', 'a.c', 'b.c']],
    ['?.c', ['a.c', 'b.c']],
    ['[ab].c', ['a.c', 'b.c']],
    ['[^a].c', ['b.c']],
    ['[!x]n', ['!n', 'xn']],
    ['[!]n', ['!n']],
    ['src/*', ['src/deep', 'src/x.c']],
    ['*/*.c', ['lib/z.c', 'src/x.c']],
    ['**/*.c', ['lib/z.c', 'src/x.c']],
    ['s*/deep/y.c', ['src/deep/y.c']],
    ['arr[[]0].txt', ['arr[0].txt']],
    ['arr\\[0?.txt', ['arr[0].txt']],
    ['{a,b}.?', []],
    ['foo[l]', []],
    ['none/*', []],
    ['../../*.c', ['.hidden.c', 'a.c', 'b.c']],
    ['[z-a].c', []],
    ['[[:alpha:].c', ['a.c']],
  ];
  for (const [source, expected] of cases) assert.deepEqual(await match(FILES, source), expected, source);
});

test('matchSources() enters a link that is written out, but none that a wildcard finds', async () => {
  const files = { 'real/a.c': '', link: '-> real', 'end.c': '-> real/a.c' };
  assert.deepEqual(await match(files, 'link/*.c'), ['real/a.c']);
  assert.deepEqual(await match(files, 'l*/*.c'), []);
  assert.deepEqual(await match(files, 'e*.c'), ['end.c']);
});

test('matchSources() refuses a malformed pattern', async () => {
  await assert.rejects(match({}, 'a*/[x-]'), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' });
});

test('hasWildcard() sees only wildcards that count', () => {
  assert.deepEqual(['a', 'a*', '\\*', '\\\\*', 'a?', '[a]', 'a]', 'x\\[y', 'a\n*'].map(hasWildcard), [
    false,
    true,
    false,
    true,
    true,
    true,
    false,
    false,
    true,
  ]);
});

/** filepath.Match on one name by plain recursion. */
function slowMatch(pattern: string, name: string): boolean {
  const tokens = parseGoPattern(pattern, 'a test');
  const from = (at: number, rest: readonly string[]): boolean => {
    const token = tokens[at];
    if (token === undefined) return rest.length === 0;
    if (token.kind === 'star') return rest.some((_, skip) => from(at + 1, rest.slice(skip))) || from(at + 1, []);
    const [char] = rest;
    if (char === undefined) return false;
    const fits = token.kind === 'any' || (token.kind === 'literal' ? token.char === char : inClass(token, char));
    return fits && from(at + 1, rest.slice(1));
  };
  return from(0, [...name]);
}

test('matchSources() agrees with a recursive filepath.Match on any name', async () => {
  const part = fc.constantFrom(
    'a',
    'b',
    '.',
    '*',
    '?',
    '[ab]',
    '[^a]',
    '[!-a]',
    '\\*',
    '{a,b}',
    '+(a)',
    '#',
    '@',
    '[a]',
    'é',
    '(',
    '|',
    '\\\\',
    '-',
  );
  const pattern = fc
    .array(part, { minLength: 1, maxLength: 5 })
    .map((parts) => parts.join(''))
    .filter(hasWildcard);
  const name = fc.array(fc.constantFrom('a', 'b', '.', '!', '*', '{', ',', '}', '+', '(', ')', '#', '@', 'é', '|', '\\', '-', '['), {
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(pattern, name, async (source, chars) => {
      const file = chars.join('');
      if (file === '.' || file === '..') return;
      assert.deepEqual(await matchSources(oneFile(fromText(file)), source), slowMatch(source, file) ? [fromText(file)] : []);
    }),
    { numRuns: 3000 },
  );
});

function oneFile(name: ByteString): FileTree {
  const node = { mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n } as const;
  return {
    stat: (path) => (path === '' ? { ...node, type: 'directory' } : path === name ? { ...node, type: 'file' } : undefined),
    list: () => [name],
    xattrs: () => new Map(),
    open: () => -1,
  };
}
