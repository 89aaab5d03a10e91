/** Times as docker writes them: `90s`, `5m`, `1h30m`. */
import { TsbuildError } from '../errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds. Throws USAGE. */
export function durationOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)/gy)];
  const total = parts.reduce((sum, [, number, unit = 's']) => sum + Number(number) * (UNIT_MS[unit] ?? Number.NaN), 0);
  if (parts.map(([part]) => part).join('') === text && total > 0) return Math.ceil(total);
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 100))} as --${flag}: not a time such as 90s, 5m or 1h30m`);
}
