/** `--cache-from` and `--cache-to`, as docker buildx reads them: a word alone is a reference. */
import { TsbuildError } from '../errors.ts';
import { type CacheSource, type CacheTarget, parseCacheSource, parseCacheTarget } from '../index.ts';
import type { Flags } from './command-table.ts';
import { csvWords } from './csv-flags.ts';

/** Throws USAGE, REFERENCE_INVALID. */
export function cachesOf(
  { cacheFrom = [], cacheTo = [] }: Pick<Flags, 'cacheFrom' | 'cacheTo'>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly cacheFrom: CacheSource[]; readonly cacheTo: CacheTarget[] } {
  return {
    cacheFrom: cacheFrom.map((text) => parseCacheSource(attributesOf('--cache-from', text), env)),
    cacheTo: cacheTo.map((text) => parseCacheTarget(attributesOf('--cache-to', text), env)),
  };
}

function attributesOf(flag: string, text: string): [string, string][] {
  const words = csvWords(flag, text);
  const [word = ''] = words;
  if (words.length === 1 && !word.includes('=')) {
    return [
      ['type', 'registry'],
      ['ref', word],
    ];
  }
  return words.map((each) => {
    const equals = each.indexOf('=');
    if (equals > 0) return [each.slice(0, equals).trim().toLowerCase(), each.slice(equals + 1)];
    // A secret key may be in the others.
    throw new TsbuildError('USAGE', `Cannot read ${flag}: ${JSON.stringify(each.slice(0, 100))} is not NAME=VALUE`);
  });
}
