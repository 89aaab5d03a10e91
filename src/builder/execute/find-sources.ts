/** What the source arguments of a COPY or ADD name in a tree: paths, wildcards, and with `--parents` paths that keep their place. */

import { cleanPath } from '../../context/go-pattern.ts';
import { type IgnoreRules, parseIgnorePatterns } from '../../context/ignore-file.ts';
import { matchBelow } from '../../context/match-below.ts';
import { hasWildcard, matchSources } from '../../context/match-sources.ts';
import { TsbuildError } from '../../errors.ts';
import { suggest } from '../../parser/suggest.ts';
import { type ByteString, display, fromText, join, nameOf, parentOf } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';
import { type CopySource, findSource, type SourceParent, walkSource } from './copy-sources.ts';

/** The source arguments that are read from one tree, with the flags that say what is taken. */
export interface Selection {
  readonly paths: readonly string[];
  /** `parents`: each lands where it was, below the destination. `mount`: for a mount, whose source is never a pattern. */
  readonly layout: 'flat' | 'parents' | 'mount';
  /** Patterns of `--exclude`. */
  readonly exclude: readonly string[];
  /** A path without a wildcard that is not there. */
  readonly missing: 'error' | 'skip';
}

/** Why something is not there, as in `Cannot copy "x": not in the build context`. */
export type WhyMissing = (path: ByteString) => string;

/** More names in a directory than anybody would look through. */
const NAMES_MAX = 10_000;

/** A path without a wildcard must be there; a pattern may match nothing (row C7). Throws CONTEXT_PATH_NOT_FOUND, DOCKERFILE_SYNTAX. */
export async function findSources(tree: FileTree, selection: Selection, why: WhyMissing): Promise<CopySource[]> {
  const exclude = selection.exclude.length === 0 ? undefined : parseIgnorePatterns(selection.exclude, '--exclude');
  const found: CopySource[] = [];
  for (const text of selection.paths) {
    const sources = selection.layout === 'parents' ? await sourcesInPlace(tree, text) : await plainSources(tree, text, selection.layout);
    if (!('missing' in sources)) found.push(...(exclude === undefined ? sources : lessExcluded(tree, sources, exclude)));
    else if (selection.missing === 'error')
      throw notFound(tree, sources.missing, { verb: selection.layout === 'mount' ? 'mount' : 'copy', why });
  }
  return found;
}

/** Without those of which nothing is left, so that no directories are made for them. */
function lessExcluded(tree: FileTree, sources: readonly CopySource[], exclude: IgnoreRules): CopySource[] {
  const less = sources.map((source) => ({ ...source, exclude }));
  return less.filter((source) => walkSource(tree, source).next().done !== true);
}

type Sources = readonly CopySource[] | { readonly missing: ByteString };

/** What a wildcard matches may be missing, too: a link that leads nowhere. */
async function plainSources(tree: FileTree, text: string, layout: Selection['layout']): Promise<Sources> {
  const found: CopySource[] = [];
  for (const path of isPattern(text, layout) ? await matchSources(tree, text) : [fromText(text)]) {
    const source = findSource(tree, path);
    if (source === undefined) return { missing: path };
    found.push(source);
  }
  return found;
}

function isPattern(text: string, layout: Selection['layout']): boolean {
  return layout !== 'mount' && hasWildcard(text);
}

/** `pivot/./path`: only what follows the pivot is kept as the place; without one, the whole path is. */
async function sourcesInPlace(tree: FileTree, text: string): Promise<Sources> {
  const cut = text.indexOf('/./');
  const [pivot, rest] = cut === -1 ? ['', text] : [text.slice(0, cut), text.slice(cut + 3)];
  const clean = cleanPath(`/${rest}`).slice(1);
  const bases = hasWildcard(pivot) ? await matchSources(tree, pivot) : [fromText(pivot)];
  const found = bases.flatMap((path) => findSource(tree, path) ?? []).flatMap((base) => sourcesBelow(tree, base, clean));
  return found.length > 0 || hasWildcard(text) ? found : { missing: fromText(text) };
}

function sourcesBelow(tree: FileTree, base: CopySource, rest: string): CopySource[] {
  if (base.node.type !== 'directory') return [];
  if (rest === '') return [base];
  const places = hasWildcard(rest) ? matchBelow(tree, base.path, rest) : [fromText(rest)];
  return places.flatMap((place) => sourceAt(tree, base.path, place) ?? []);
}

/** A link on the way is followed, and lands as a directory; one at the end stays a link. */
function sourceAt(tree: FileTree, base: ByteString, place: ByteString): CopySource | undefined {
  const parents: SourceParent[] = [];
  for (let slash = place.indexOf('/'); slash !== -1; slash = place.indexOf('/', slash + 1)) {
    const parent = place.slice(0, slash) as ByteString;
    const { path, node } = resolvePath(tree, join(base, parent), 'follow');
    if (node?.type !== 'directory') return undefined;
    parents.push({ place: parent, path, node });
  }
  const { path, node } = resolvePath(tree, join(parents.at(-1)?.path ?? base, nameOf(place)), 'keep');
  return node && { path, node, name: nameOf(place), place: { path: place, parents } };
}

/** With the name that may have been meant. */
export function notFound(
  tree: FileTree,
  path: ByteString,
  { verb, why }: { readonly verb: 'copy' | 'mount'; readonly why: WhyMissing },
): TsbuildError {
  const clean = cleanPath(`/${path}`).slice(1) as ByteString;
  const near = nearestPath(tree, clean);
  const guess = near === undefined ? '' : ` (did you mean ${display(near)}?)`;
  return new TsbuildError('CONTEXT_PATH_NOT_FOUND', `Cannot ${verb} ${JSON.stringify(display(path))}: ${why(clean)}${guess}`);
}

/** The path with its first missing name replaced by a like one of the same directory. */
function nearestPath(tree: FileTree, path: ByteString): ByteString | undefined {
  const parent = parentOf(path);
  if (path === '') return undefined;
  const { path: dir, node } = resolvePath(tree, parent, 'follow');
  if (node === undefined) {
    const near = nearestPath(tree, parent);
    const whole = near === undefined ? undefined : join(near, nameOf(path));
    return whole !== undefined && resolvePath(tree, whole, 'follow').node !== undefined ? whole : near;
  }
  if (node.type !== 'directory') return undefined;
  const names = [...tree.list(dir)];
  const guess = names.length > NAMES_MAX ? undefined : suggest(nameOf(path), names);
  // The name itself is there where it is a link that leads nowhere.
  return guess === undefined || guess === nameOf(path) ? undefined : join(parent, guess as ByteString);
}
