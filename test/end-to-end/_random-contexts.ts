/**
 * Random trees, ignore files and wildcards, the same for the same seed: what `scripts/record-ignore-files.sh` asks BuildKit about.
 * Left out is where we differ on purpose: a malformed pattern, which we refuse even where nothing comes to match it, and a
 * backslash before a letter, which BuildKit hands on to a regular expression (`a\\b` is `a` at the end of a word there).
 */

export interface RulesCase {
  /** Files; directories that are empty end with a slash. */
  readonly tree: readonly string[];
  readonly ignore: string;
}

export interface WildcardsCase {
  readonly tree: readonly string[];
  readonly sources: readonly string[];
}

/** A number below `limit`. */
type Random = (limit: number) => number;

const NAMES = ['a', 'b', 'c', 'ab', 'ba', 'a.b', '.a', 'b.c', 'A', 'a b', '[a]', 'a*', '!a', '#b', 'ü'];
const WILD = [
  '*',
  '**',
  '?',
  'a*',
  '*b',
  '*.b',
  '*.*',
  '[ab]',
  '[^a]',
  '[a-c]*',
  '[]a]',
  'a**',
  '**b',
  '\\*',
  '\\[a\\]',
  'a\\*',
  '?b',
  '.*',
  '.',
  '..',
];

export function rulesCase(seed: number): RulesCase {
  const random = generator(seed);
  const tree = randomTree(random);
  const lines = Array.from({ length: 1 + random(5) }, () => randomLine(random, tree));
  const text = lines.join(random(8) === 0 ? '\r\n' : '\n');
  return { tree, ignore: (random(15) === 0 ? '\uFEFF' : '') + text };
}

/** Sources that BuildKit takes: a malformed one would fail the whole case. */
export function wildcardsCase(seed: number): WildcardsCase {
  const random = generator(seed + 1_000_000);
  const tree = randomTree(random);
  const sources = Array.from({ length: 6 }, () => {
    const parts = Array.from({ length: 1 + random(3) }, () =>
      pick(random, random(3) === 0 ? NAMES.slice(0, 9) : WILD.filter((part) => !/^\.+$/.test(part))),
    );
    return parts.join('/');
  });
  return { tree, sources: sources.filter((source) => /^(?:[^\\*?[]|\\.)*[*?[]/u.test(source)) };
}

function randomTree(random: Random): string[] {
  const paths = new Set<string>();
  for (let count = 4 + random(10); count > 0; count--) {
    const parts = Array.from({ length: 1 + random(4) }, () => pick(random, random(3) === 0 ? NAMES : NAMES.slice(0, 6)));
    const path = parts.join('/');
    const isTaken = [...paths].some(
      (other) => other === path || other.startsWith(`${path}/`) || path.startsWith(`${other.replace(/\/$/, '')}/`),
    );
    if (!isTaken) paths.add(random(8) === 0 ? `${path}/` : path);
  }
  return [...paths];
}

function randomLine(random: Random, tree: readonly string[]): string {
  if (random(15) === 0) return pick(random, ['', '# a', ' # a', '   ', '#']);
  const pattern =
    random(3) === 0
      ? nearPath(random, tree)
      : Array.from({ length: 1 + random(3) }, () => pick(random, random(2) === 0 ? NAMES : WILD)).join('/');
  return [
    pick(random, ['', '', '', '', '', ' ', '\t']),
    pick(random, ['', '', '', '!', '!', '! ']),
    pick(random, ['', '', '', '', '', '/', './', '**/', '**/', '/**/']),
    pattern,
    pick(random, ['', '', '', '', '', '/', '/*', '/**', '//', ' ', '\t']),
  ].join('');
}

/** A path of the tree, one of its directories, or one with a name replaced by a wildcard. */
function nearPath(random: Random, tree: readonly string[]): string {
  const parts = pick(random, tree).replace(/\/$/, '').split('/');
  const some = parts.slice(0, 1 + random(parts.length));
  return some.map((part) => (random(4) === 0 ? pick(random, WILD) : part)).join('/');
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T;
}

/** mulberry32, public domain: enough for making cases. */
function generator(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
