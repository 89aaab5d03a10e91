/** The attributes of one output as text → values. */
import { TsbuildError } from '../errors.ts';
import { didYouMean } from '../parser/suggest.ts';
import type { OutputFields } from './output.ts';

/** Throws USAGE for an attribute that is not among `known`. */
export function outputFields(type: string, attributes: ReadonlyMap<string, string>, known: readonly string[]): OutputFields {
  for (const name of attributes.keys()) {
    if (name === 'type' || known.includes(name)) continue;
    const all = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
    throw usage(type, `no attribute ${JSON.stringify(name.slice(0, 100))}${didYouMean(name, known)}`, `Of the type ${type}: ${all}.`);
  }
  const text = (name: string): string | undefined => attributes.get(name);
  return {
    type,
    text,
    needed(name) {
      const value = text(name);
      if (value === undefined || value === '') throw usage(type, `${name}= is missing`);
      return value;
    },
    boolean(name) {
      const value = text(name);
      if (value === undefined) return undefined;
      // As Go's strconv.ParseBool, which docker uses.
      if (/^(?:1|t|true)$/i.test(value)) return true;
      if (/^(?:0|f|false)$/i.test(value)) return false;
      throw usage(type, `${name}=${shown(value)} is neither true nor false`);
    },
    choice(name, choices) {
      const value = text(name);
      const found = choices.find((choice) => choice === value);
      if (value === undefined || found !== undefined) return found;
      throw usage(type, `${name}=${shown(value)} is not one of ${choices.join(', ')}${didYouMean(value, choices)}`);
    },
    list: (name) =>
      text(name)
        ?.split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
  };
}

function usage(type: string, reason: string, hint?: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use an output of the type ${type}: ${reason}`, { hint });
}

function shown(value: string): string {
  return JSON.stringify(value.slice(0, 100));
}
