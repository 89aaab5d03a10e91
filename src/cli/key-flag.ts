/** `--key` and `--sign-by`: a file, or as cosign writes it `env://NAME`; the passphrase is in COSIGN_PASSWORD. */
import { TsbuildError } from '../errors.ts';
import type { SecretSource, SigningKeySource } from '../index.ts';

const PASSPHRASE = 'COSIGN_PASSWORD';

/** Throws USAGE where it is missing, or kept in a place that tsbuild does not reach. */
export function keyOf(flag: string, text: string | undefined): SecretSource {
  if (text === undefined || text === '') throw new TsbuildError('USAGE', `Cannot do it without a key: ${flag} is missing`);
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/.exec(text) ?? [];
  if (scheme === undefined) return { file: text };
  if (scheme === 'env' && rest !== '') return { env: rest };
  throw new TsbuildError('USAGE', `Cannot use a key of ${scheme}://: it is a file or env://NAME`);
}

export function signingKeyOf(flag: string, text: string | undefined, env: Readonly<Record<string, string | undefined>>): SigningKeySource {
  const key = keyOf(flag, text);
  // An empty one is a passphrase for cosign; a key that has one cannot have that.
  return env[PASSPHRASE] ? { key, passphrase: { env: PASSPHRASE } } : { key };
}
