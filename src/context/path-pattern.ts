/**
 * One ignore pattern against one path, in time linear in the path: the pattern is a small automaton, so no pattern can
 * make a match backtrack. A pattern that matches a directory holds for everything in it.
 * Semantics of github.com/moby/patternmatcher, which Docker documents for .dockerignore: rooted at the context, `*`, `?`
 * and classes within a name, `**` over any number of directories.
 */
import { inClass, type PatternToken, parseGoPattern } from './go-pattern.ts';

export interface PathPattern {
  /** The path itself, or a directory above it, matches. */
  matches(path: string): boolean;
  /** The path itself matches. */
  matchesWhole(path: string): boolean;
  /** Something inside the directory `path` may match. */
  mayMatchInside(path: string): boolean;
}

type Token =
  | PatternToken
  /** Any characters at all, or none. */
  | { readonly kind: 'rest' }
  /** Nothing, or any characters up to and with a slash: any number of directories. */
  | { readonly kind: 'directories' };

/** `pattern` is clean and has no leading slash. Throws DOCKERFILE_SYNTAX for a malformed one. */
export function compilePathPattern(pattern: string, where: string): PathPattern {
  const tokens = expandDoubleStars(parseGoPattern(pattern, where));
  return tokens.every((token) => token.kind === 'literal') ? exactPattern(tokens.map(({ char }) => char).join('')) : automaton(tokens);
}

function exactPattern(text: string): PathPattern {
  const inside = `${text}/`;
  return {
    matches: (path) => path === text || path.startsWith(inside),
    matchesWhole: (path) => path === text,
    mayMatchInside: (path) => inside.startsWith(`${path}/`) || path.startsWith(inside),
  };
}

/**
 * `**` and a slash after it become one token. At the very start, `**name` (nothing special in name) means any path that
 * ends in name; moby does so, and files rely on it.
 */
function expandDoubleStars(parsed: readonly PatternToken[]): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < parsed.length; at++) {
    const token = parsed[at] as PatternToken;
    if (token.kind !== 'star' || parsed[at + 1]?.kind !== 'star') {
      tokens.push(token);
      continue;
    }
    const isStart = at === 0;
    at++;
    const slashed = isSlash(parsed[at + 1]);
    if (slashed) at++;
    const isEnd = at + 1 === parsed.length;
    const isSuffix = isStart && !slashed && parsed.slice(at + 1).every(({ kind }) => kind === 'literal');
    if (isEnd || isSuffix) tokens.push({ kind: 'rest' });
    // Any number of directories twice is any number of them.
    else if (tokens.at(-1)?.kind !== 'directories') tokens.push({ kind: 'directories' });
  }
  return tokens;
}

function isSlash(token: PatternToken | undefined): boolean {
  return token?.kind === 'literal' && token.char === '/';
}

/** States are token positions; `tokens.length` accepts. */
function automaton(tokens: readonly Token[]): PathPattern {
  const accept = tokens.length;
  const start = closure(tokens, [0]);
  const matches = (path: string): boolean => {
    let states = start;
    for (const char of path) {
      if (char === '/' && states.has(accept)) return true;
      states = closure(tokens, step(tokens, states, char));
      if (states.size === 0) return false;
    }
    return states.has(accept);
  };
  const matchesWhole = (path: string): boolean => {
    let states = start;
    for (const char of path) {
      states = closure(tokens, step(tokens, states, char));
      if (states.size === 0) return false;
    }
    return states.has(accept);
  };
  const mayMatchInside = (path: string): boolean => {
    let states = start;
    for (const char of `${path}/`) {
      if (char === '/' && states.has(accept)) return true;
      states = closure(tokens, step(tokens, states, char));
    }
    return states.size > 0;
  };
  return { matches, matchesWhole, mayMatchInside };
}

/** Marks a `directories` token that has eaten characters but no slash yet: it may not be left there. */
const INSIDE = 0.5;

/** Adds the states that are reached without a character. */
function closure(tokens: readonly Token[], seeds: Iterable<number>): Set<number> {
  const states = new Set<number>();
  for (const seed of seeds) {
    let state = seed;
    states.add(state);
    // `star`, `rest` and `directories` may match nothing.
    while (Number.isInteger(state)) {
      const kind = tokens[state]?.kind;
      if (kind !== 'star' && kind !== 'rest' && kind !== 'directories') break;
      states.add(++state);
    }
  }
  return states;
}

function step(tokens: readonly Token[], states: ReadonlySet<number>, char: string): number[] {
  const next: number[] = [];
  for (const state of states) {
    const token = tokens[Math.floor(state)];
    switch (token?.kind) {
      case undefined:
        break;
      case 'literal':
        if (token.char === char) next.push(state + 1);
        break;
      case 'any':
        if (char !== '/') next.push(state + 1);
        break;
      case 'class':
        if (inClass(token, char)) next.push(state + 1);
        break;
      case 'star':
        if (char !== '/') next.push(state);
        break;
      case 'rest':
        next.push(state);
        break;
      case 'directories':
        next.push(Math.floor(state) + INSIDE);
        if (char === '/') next.push(Math.floor(state) + 1);
        break;
    }
  }
  return next;
}
