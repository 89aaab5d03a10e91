/** `a, b and 3 more`: the first of `count` things that there are. */
export function andMore(shown: readonly string[], count: number): string {
  const rest = count - shown.length;
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
