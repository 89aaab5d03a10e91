/** `--allow network.host`, `--allow device=NAME`. */
import { TsbuildError } from '../errors.ts';
import type { Entitlement } from '../index.ts';

const KNOWN: readonly Entitlement[] = ['network.host', 'security.insecure', 'device'];

/** Throws USAGE. */
export function entitlementOf(word: string): Entitlement {
  const found = KNOWN.find((name) => name === word);
  if (found !== undefined) return found;
  // What follows is judged where it is used.
  if (isDevice(word)) return word;
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(word)} as --allow: not one of ${KNOWN.join(', ')}, device=NAME`);
}

function isDevice(word: string): word is `device=${string}` {
  return word.startsWith('device=');
}
