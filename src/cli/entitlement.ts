/** `--allow network.host`. */
import { TsbuildError } from '../errors.ts';
import type { Entitlement } from '../index.ts';

const KNOWN: readonly Entitlement[] = ['network.host', 'security.insecure'];

/** Throws USAGE. */
export function entitlementOf(word: string): Entitlement {
  const found = KNOWN.find((name) => name === word);
  if (found !== undefined) return found;
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(word)} as --allow: not one of ${KNOWN.join(', ')}`);
}
