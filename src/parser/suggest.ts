/** "Did you mean": the nearest of a few known names. */

/** Names longer than this are nobody's typing error. */
const LENGTH_MAX = 64;

/** The candidate nearest to `name`, when it is near enough to be a typing error; case is ignored. The first of equals wins. */
export function suggest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length === 0 || name.length > LENGTH_MAX) return undefined;
  let best: string | undefined;
  let bestDistance = 1 + Math.min(3, Math.floor(name.length / 2));
  for (const candidate of candidates) {
    if (candidate.length > LENGTH_MAX) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` (did you mean RUN?)`, or nothing: the end of a message. */
export function didYouMean(name: string, candidates: Iterable<string>, prefix = ''): string {
  const found = suggest(name, candidates);
  return found === undefined ? '' : ` (did you mean ${prefix}${found}?)`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}
