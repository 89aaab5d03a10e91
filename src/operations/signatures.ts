/** `sign` and `verify`: signatures of images, made and found in their repositories. */
import { type SignedImage, signImage as signIn, verifyImage as verifyIn } from '../attestations/signing/image-signatures.ts';
import { type SigningKey, signingKey, type VerifyingKey, verifyingKey } from '../attestations/signing/signing-key.ts';
import type { SignedPayload } from '../attestations/signing/simple-signing.ts';
import { TsbuildError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { familiarName, formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';
import { openSecrets, type SecretSource } from './secrets.ts';

/** A private key in PEM, and its passphrase where it has one. */
export interface SigningKeySource {
  readonly key: SecretSource;
  readonly passphrase?: SecretSource | undefined;
}

type Named = CommonOptions & { readonly name: string };

/** Throws SECRET_INVALID, KEY_INVALID. */
export function readSigningKey({ key, passphrase }: SigningKeySource): SigningKey {
  const secrets = openSecrets({ 'signing key': key, ...(passphrase === undefined ? {} : { passphrase }) });
  return signingKey(needed(secrets.read('signing key')), secrets.read('passphrase'));
}

/**
 * Signs what the name means in the local store, else in the registry, and puts the signature beside it there. Throws KEY_INVALID and the
 * registry's errors.
 */
export async function signImage(
  options: Named & SigningKeySource,
): Promise<{ readonly digest: Digest; readonly outcome: 'signed' | 'exists' }> {
  const key = readSigningKey(options);
  await using session = await openSession(options);
  const reference = parseReference(options.name);
  const stored = session.store.images.get(formatReference(reference))?.descriptor.digest;
  const image = await digested(session, reference, stored);
  const outcome = await signIn(session.registry, image, key);
  if (outcome === 'signed')
    session.emit({ kind: 'image', action: 'signed', digest: image.digest, names: [familiarName(reference)], size: 0 });
  return { digest: image.digest, outcome };
}

/** Asks the registry alone. Throws SIGNATURE_NOT_FOUND, SIGNATURE_INVALID, KEY_INVALID and the registry's errors. */
export async function verifyImage(
  options: Named & { readonly key: SecretSource },
): Promise<{ readonly digest: Digest; readonly signatures: readonly SignedPayload[] }> {
  const key: VerifyingKey = verifyingKey(needed(openSecrets({ key: options.key }).read('key')));
  await using session = await openSession(options);
  const image = await digested(session, parseReference(options.name), undefined);
  return { digest: image.digest, signatures: await verifyIn(session.registry, image, key) };
}

/** One digest from here on, whatever the tag does meanwhile. */
async function digested(session: Session, reference: Reference, known: Digest | undefined): Promise<SignedImage> {
  const { registry, repository } = reference;
  const digest = reference.digest ?? known;
  if (digest !== undefined) return { registry, repository, digest };
  const { descriptor, indexes } = await session.registry.resolve(reference, session.platform).catch((error: unknown) => {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_PLATFORM_NOT_FOUND') error.hinted('Or name the image by its digest.');
    throw error;
  });
  return { registry, repository, digest: indexes[0]?.descriptor.digest ?? descriptor.digest };
}

function needed(value: Buffer | undefined): Buffer {
  if (value !== undefined) return value;
  throw new TsbuildError('KEY_INVALID', 'Cannot use the key: the variable that is to hold it is not set');
}
