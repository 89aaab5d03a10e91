/** SPDX's names by any spelling of their letters, as annex D of SPDX 2.3 compares them. */
import type { LicenseNames } from './license-expression.ts';
import { EXCEPTIONS, LICENSES } from './spdx-license-table.ts';

export function spdxLicenseNames(): LicenseNames {
  const byLetters = (names: readonly string[]): ReadonlyMap<string, string> => new Map(names.map((name) => [name.toLowerCase(), name]));
  const [licenses, exceptions] = [byLetters(LICENSES), byLetters(EXCEPTIONS)];
  return {
    license: (name) => licenses.get(name.toLowerCase()),
    exception: (name) => exceptions.get(name.toLowerCase()),
  };
}
