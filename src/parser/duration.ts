/** Durations as Go writes them: `1h2m3.5s`. Source: Go's time.ParseDuration, the form that Docker documents. */

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);

/** Nanoseconds, a safe integer; undefined if `text` is not a duration or is too long for one. */
export function parseDuration(text: string): number | undefined {
  const [, sign = '', rest = ''] = /^([+-]?)(.{1,100})$/.exec(text) ?? [];
  if (rest === '0') return 0;
  let total = 0;
  let end = 0;
  for (const match of rest.matchAll(/(?=\.?\d)(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/gy)) {
    const [all, whole, fraction = '', name = ''] = match;
    const unit = UNITS.get(name) ?? Number.NaN;
    // In this order, so that 1.000000001s is what it says.
    total += Number(whole) * unit + Math.trunc(Number(fraction) * (unit / 10 ** fraction.length));
    end = match.index + all.length;
  }
  if (end === 0 || end !== rest.length) return undefined;
  const rounded = Math.trunc(total);
  if (!Number.isSafeInteger(rounded)) return undefined;
  return sign === '-' && rounded !== 0 ? -rounded : rounded;
}
