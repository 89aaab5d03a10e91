/**
 * The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and backslash escapes, no `[...]`.
 * Matching is by runs of literal characters between the stars, so that no pattern makes it backtrack.
 */

/** One literal run; `undefined` stands for `?`. */
type Run = readonly (string | undefined)[];

export interface Glob {
  /** The runs between the stars: `a*b` has two, `*` two empty ones. */
  readonly runs: readonly Run[];
}

export type Reach = 'shortest' | 'longest';

/** Counts comparisons, and throws when there were too many. */
export type Spend = (amount: number) => void;

/** undefined where a backslash stands before a character that needs none. */
export function parseGlob(pattern: string): Glob | undefined {
  const runs: (string | undefined)[][] = [[]];
  let escaped = false;
  for (const char of pattern) {
    const run = runs.at(-1) ?? [];
    if (!escaped && char === '\\') {
      escaped = true;
      continue;
    }
    if (escaped && !ESCAPABLE.has(char)) return undefined;
    if (escaped || (char !== '*' && char !== '?')) run.push(char);
    else if (char === '?') run.push(undefined);
    else runs.push([]);
    escaped = false;
  }
  return escaped ? undefined : { runs };
}

const ESCAPABLE: ReadonlySet<string> = new Set(['*', '?', '\\', '}', '/']);

/** The same pattern for text read from its end. */
export function reverseGlob({ runs }: Glob): Glob {
  return { runs: runs.map((run) => run.toReversed()).toReversed() };
}

/** Length in characters of the shortest or longest match at `start`; undefined if there is none. */
export function matchAt(glob: Glob, text: readonly string[], options: { start: number; reach: Reach; spend: Spend }): number | undefined {
  const { start, reach, spend } = options;
  const [first = [], ...others] = glob.runs;
  if (!runMatches(first, text, start, spend)) return undefined;
  let end = start + first.length;
  for (const [index, run] of others.entries()) {
    const isLast = index === others.length - 1;
    const found = isLast && reach === 'longest' ? findLast(run, text, end, spend) : findFirst(run, text, end, spend);
    if (found === undefined) return undefined;
    end = found + run.length;
  }
  return end - start;
}

/** The first place at or after `start` where the pattern matches, as long as possible there. */
export function findGlob(
  glob: Glob,
  text: readonly string[],
  options: { start: number; spend: Spend },
): { at: number; length: number } | undefined {
  const { spend } = options;
  // If the rest does not follow the first place of the first run, it follows no later one either.
  const at = findFirst(glob.runs[0] ?? [], text, options.start, spend);
  if (at === undefined) return undefined;
  const length = matchAt(glob, text, { start: at, reach: 'longest', spend });
  return length === undefined ? undefined : { at, length };
}

function findFirst(run: Run, text: readonly string[], from: number, spend: Spend): number | undefined {
  for (let at = from; at + run.length <= text.length; at++) if (runMatches(run, text, at, spend)) return at;
  return undefined;
}

function findLast(run: Run, text: readonly string[], from: number, spend: Spend): number | undefined {
  for (let at = text.length - run.length; at >= from; at--) if (runMatches(run, text, at, spend)) return at;
  return undefined;
}

function runMatches(run: Run, text: readonly string[], at: number, spend: Spend): boolean {
  if (at + run.length > text.length) return false;
  let index = 0;
  while (index < run.length && (run[index] === undefined || run[index] === text[at + index])) index++;
  spend(index + 1);
  return index === run.length;
}
