/** Repeatable random choices, and random words of the Dockerfile language. */

export interface Random {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** The same choices for the same seed (Marsaglia's xorshift with 32 bits). */
export function random(seed: number): Random {
  let state = seed >>> 0 || 1;
  const below = (limit: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
  const pick = <T>(choices: readonly T[]): T => {
    const [first, ...others] = choices;
    const index = below(choices.length);
    return index === 0 ? (first as T) : (others[index - 1] as T);
  };
  return { below, pick };
}

/** What variables the words know; all others are not set. */
export const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['E', ''],
  ['A', 'a'],
  ['B', 'foo.bar.foo'],
  ['C', 'x  y z'],
  ['P', '/usr/local/lib'],
  ['S', '*a?b\\c*'],
  ['U', 'é漢字😀é'],
  ['D', '$A${B}'],
  ['_x1', 'aaabaaab'],
]);

const NAMES = [...VARIABLES.keys(), 'N', 'NN'];
const PLAIN = ['a', 'b', 'foo', '.', '/', ':', '-', '*', '?', 'x  y', ' ', '=', '{', '#', '%', 'é', '😀', ',', '~', 'aab', '[a]', '@'];
const SPECIAL = ['$', '$$', '$1', '$@', '$?', '$-', '$.', '$ ', '${1}', '${@}', '$12a', '$Ax', '$A.b', '$E$A', '$é'];
const MODIFIERS = [':-', '-', ':+', '+', ':?', '?', '#', '##', '%', '%%'];
const BROKEN = ['${', '}', '${}', '${A', '${A:', '${A!}', '${A:=b}', '${A:#a}', '${A^}', '${ A}', '${A/b}', '${A//a}', '"', "'"];

/** One word with everything that expansion knows, nested up to `depth`; now and then a broken one. */
export function randomWord(from: Random, escapeChar: string, depth = 3): string {
  const count = 1 + from.below(4);
  return Array.from({ length: count }, () => randomPart(from, escapeChar, depth)).join('');
}

function randomPart(from: Random, escapeChar: string, depth: number): string {
  const kind = from.below(100);
  if (kind < 25) return from.pick(PLAIN);
  if (kind < 35) return `$${from.pick(NAMES)}`;
  if (kind < 43) return `\${${from.pick(NAMES)}}`;
  if (kind < 49) return from.pick(SPECIAL);
  if (kind < 50) return from.pick(BROKEN);
  if (kind < 60) return escapeChar + from.pick(['$', '"', "'", escapeChar, 'a', '}', '/', '*', '?', ' ', '\\', '`', '{']);
  if (kind < 65) return `'${from.pick(['', 'a', '$A', '${A}', '\\', '"', 'a b', '`', '*'])}'`;
  if (depth === 0) return from.pick(PLAIN);
  const inner = () => (from.below(6) === 0 ? '' : randomWord(from, escapeChar, depth - 1));
  if (kind < 73) return `"${inner().replaceAll('"', '')}"`;
  if (kind < 90) return `\${${from.pick(NAMES)}${from.pick(MODIFIERS)}${inner()}}`;
  return `\${${from.pick(NAMES)}${from.pick(['/', '//'])}${inner()}/${inner()}}`;
}
