/** Wildcards in the sources of COPY and ADD. Source: Dockerfile reference, "COPY", with the rules of Go's filepath.Match. */
import { type ByteString, fromText, join, toBuffer } from '../tree/byte-string.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { resolvePath } from '../tree/resolve.ts';
import { cleanPath, type PatternToken, parseGoPattern } from './go-pattern.ts';

/** Whether `source` holds `*`, `?` or `[` that no backslash takes the meaning from. */
export function hasWildcard(source: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/su.test(source);
}

/**
 * Paths of `tree` that `source` (with a wildcard) matches, in byte order; none is no error. Names with a leading dot
 * match too, `*` ends at a slash and `**` is no more than `*`. A directory named without a wildcard may be a link inside
 * the tree; one that a wildcard would have to enter may not; what matches at the end is not followed.
 * Throws DOCKERFILE_SYNTAX for a malformed pattern.
 */
export async function matchSources(tree: FileTree, source: string): Promise<ByteString[]> {
  const names = cleanPath(`/${source}`).slice(1).split('/');
  const patterns = names.map((name) => parseGoPattern(name, `the source ${JSON.stringify(source)}`));
  const first = names.findIndex(hasWildcard);
  if (first === -1) throw new Error(`No wildcard in ${source}`);
  const base = resolvePath(tree, fromText(patterns.slice(0, first).map(literalOf).join('/')), 'follow');
  let found = base.node?.type === 'directory' ? [base.path] : [];
  for (const [index, tokens] of patterns.slice(first).entries()) {
    const matches = await nameMatcher(tokens);
    const isLast = first + index === patterns.length - 1;
    found = found.flatMap((dir) => matchInside(tree, dir, matches)).filter((path) => isLast || tree.stat(path)?.type === 'directory');
  }
  return found.sort();
}

type NameMatcher = { readonly literal: string } | { matches(name: string): boolean };

/** minimatch is loaded only here: a source without wildcards does not pay for it. */
async function nameMatcher(tokens: readonly PatternToken[]): Promise<NameMatcher> {
  if (tokens.every(({ kind }) => kind === 'literal')) return { literal: literalOf(tokens) };
  const { Minimatch } = await import('minimatch');
  const pattern = new Minimatch(minimatchPattern(tokens), {
    ...{ dot: true, nobrace: true, noext: true, nonegate: true, nocomment: true, noglobstar: true },
    platform: 'linux',
  });
  return { matches: (name) => pattern.match(name) };
}

function matchInside(tree: FileTree, dir: ByteString, matcher: NameMatcher): ByteString[] {
  if ('literal' in matcher) {
    const path = join(dir, fromText(matcher.literal));
    return tree.stat(path) === undefined ? [] : [path];
  }
  return [...tree.list(dir)].filter((name) => matcher.matches(toBuffer(name).toString('utf8'))).map((name) => join(dir, name));
}

function literalOf(tokens: readonly PatternToken[]): string {
  return tokens.map((token) => (token.kind === 'literal' ? token.char : '')).join('');
}

/** Go's meaning in minimatch's writing: `[!a]` and `[[:alpha:]]` mean something else there, so classes are spelt out. */
function minimatchPattern(tokens: readonly PatternToken[]): string {
  let pattern = '';
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'any') pattern += '?';
    else if (token.kind === 'literal') pattern += escapeChar(token.char);
    else if (token.kind === 'class') pattern += classPattern(token);
    else if (tokens[index - 1]?.kind !== 'star') pattern += '*';
  }
  return pattern;
}

function classPattern(token: PatternToken & { kind: 'class' }): string {
  const ranges = token.ranges.filter(({ low, high }) => low <= high);
  const spelt = ranges.map(({ low, high }) => `${escapeCode(low)}-${escapeCode(high)}`).join('');
  // Only empty ranges, such as [z-a]: nothing is in it, and everything is outside it.
  if (spelt === '') return token.negated ? '?' : '[^\0-\u{10ffff}]';
  return `[${token.negated ? '^' : ''}${spelt}]`;
}

function escapeCode(code: number): string {
  return escapeChar(String.fromCodePoint(code));
}

function escapeChar(char: string): string {
  return /[\p{L}\p{N}]/u.test(char) ? char : `\\${char}`;
}
