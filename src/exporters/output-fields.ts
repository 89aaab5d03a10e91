/** The attributes of one output, or of one remote cache, as text → values. */

import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';
import { didYouMean } from '../parser/suggest.ts';
import type { OutputFields } from './output.ts';

/** Throws USAGE for an attribute that is not among `known`. */
export function outputFields(
  type: string,
  attributes: ReadonlyMap<string, string>,
  known: readonly string[],
  noun: 'an output' | 'a cache' = 'an output',
): OutputFields {
  const usage = (reason: string, hint?: string): TsbuildError =>
    new TsbuildError('USAGE', `Cannot use ${noun} of the type ${type}: ${reason}`, { hint });
  for (const name of attributes.keys()) {
    if (name === 'type' || isKnown(name, known)) continue;
    const all = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
    throw usage(`no attribute ${JSON.stringify(name.slice(0, 100))}${didYouMean(name, known)}`, `Of the type ${type}: ${all}.`);
  }
  const text = (name: string): string | undefined => attributes.get(name);
  return {
    type,
    text,
    needed(name) {
      const value = text(name);
      if (value === undefined || value === '') throw usage(`${name}= is missing`);
      return value;
    },
    boolean(name) {
      const value = text(name);
      if (value === undefined) return undefined;
      const said = goBoolean(value);
      if (said === undefined) throw usage(`${name}=${shown(value)} is neither true nor false`);
      return said;
    },
    whole(name) {
      const value = text(name);
      if (value === undefined || /^\d{1,15}$/.test(value)) return value === undefined ? undefined : Number(value);
      throw usage(`${name}=${shown(value)} is not a whole number`);
    },
    choice(name, choices) {
      const value = text(name);
      const found = choices.find((choice) => choice === value);
      if (value === undefined || found !== undefined) return found;
      throw usage(`${name}=${shown(value)} is not one of ${choices.join(', ')}${didYouMean(value, choices)}`);
    },
    list: (name) =>
      text(name)
        ?.split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
    matching: (pattern) =>
      [...attributes].flatMap(([name, value]) => {
        const match = pattern.exec(name);
        return match === null ? [] : [{ match, value }];
      }),
  };
}

/** A platform in brackets stands between a name that goes on and its dot. */
function isKnown(name: string, known: readonly string[]): boolean {
  const plain = name.replace(/^([a-z-]+)\[[^\]]*\]\./, '$1.');
  return known.some((one) => (one.endsWith('.') ? plain.startsWith(one) && plain.length > one.length : one === name));
}

function shown(value: string): string {
  return JSON.stringify(value.slice(0, 100));
}
