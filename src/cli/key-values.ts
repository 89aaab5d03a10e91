import { TsbuildError } from '../errors.ts';

/**
 * `KEY=VALUE` words of a repeatable flag as a record; the last of a key wins. `KEY` alone takes the value from
 * `env` and is left out where that has none; without `env` it is a USAGE error.
 */
export function keyValues(
  flag: string,
  words: readonly string[],
  env?: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  // Without a prototype: keys are the user's, `__proto__` among them.
  const values: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const word of words) {
    const equals = word.indexOf('=');
    const key = equals === -1 ? word : word.slice(0, equals);
    if (key === '' || (equals === -1 && env === undefined)) {
      throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(word)} as ${flag}: not KEY=VALUE`);
    }
    const value = equals === -1 ? env?.[key] : word.slice(equals + 1);
    if (value !== undefined) values[key] = value;
  }
  return values;
}
