/** `sign` and `verify`: signatures of images, made and found in their repositories. */
import { isAttestationManifest } from '../attestations/read-attestations.ts';
import { type SignedImage, signImages, verifyImage as verifyIn } from '../attestations/signing/image-signatures.ts';
import { type SigningKey, signingKey, type VerifyingKey, verifyingKey } from '../attestations/signing/signing-key.ts';
import type { SignedPayload } from '../attestations/signing/simple-signing.ts';
import { TsbuildError } from '../errors.ts';
import { manifestsOf } from '../images/present-images.ts';
import type { Digest } from '../oci/digest.ts';
import { parseManifestDocument } from '../oci/parse-manifest.ts';
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
 * Signs what the name means in the local store, else in the registry, with the images that it lists, and puts the signatures beside it
 * there. Throws KEY_INVALID and the registry's errors.
 */
export async function signImage(
  options: Named & SigningKeySource,
): Promise<{ readonly digest: Digest; readonly outcome: 'signed' | 'exists' }> {
  const key = readSigningKey(options);
  await using session = await openSession(options);
  const reference = parseReference(options.name);
  const stored = storedDigests(session, reference);
  if (stored !== undefined) await needInRegistry(session, reference, stored[0]);
  const digests = stored ?? (await remoteDigests(session, reference));
  const { registry, repository } = reference;
  const outcome = await signImages(session.registry, { registry, repository }, { digests, key });
  const [digest] = digests;
  if (outcome === 'signed') session.emit({ kind: 'image', action: 'signed', digest, names: [familiarName(reference)], size: 0 });
  return { digest, outcome };
}

/** The digest itself, then those of the images that an index lists. */
type Digests = readonly [Digest, ...Digest[]];

function storedDigests({ store }: Session, reference: Reference): Digests | undefined {
  const stored = store.images.resolve(reference.digest ?? formatReference(reference))?.descriptor;
  if (stored === undefined || (reference.digest !== undefined && stored.digest !== reference.digest)) return undefined;
  return [stored.digest, ...manifestsOf(store, stored).map(({ digest }) => digest)];
}

/** A signature of what is not there is of no use to anybody. */
async function needInRegistry(session: Session, { registry, repository }: Reference, digest: Digest): Promise<void> {
  try {
    await session.registry.resolve({ registry, repository, digest }, session.platform);
  } catch (error) {
    // An index of other platforms is there all the same.
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_PLATFORM_NOT_FOUND') return;
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_REGISTRY_NOT_FOUND') error.hinted('Push it first, or with --sign-by.');
    throw error;
  }
}

async function remoteDigests(session: Session, reference: Reference): Promise<Digests> {
  const { descriptor, indexes } = await resolved(session, reference);
  const [index] = indexes;
  if (index === undefined) return [descriptor.digest];
  const document = parseManifestDocument(index.bytes, index.descriptor.mediaType, `index of ${formatReference(reference)}`);
  const listed = document.kind === 'index' ? document.index.manifests.filter((each) => !isAttestationManifest(each)) : [];
  return [index.descriptor.digest, ...listed.map(({ digest }) => digest)];
}

async function resolved(session: Session, reference: Reference): ReturnType<Session['registry']['resolve']> {
  try {
    return await session.registry.resolve(reference, session.platform);
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_PLATFORM_NOT_FOUND') error.hinted('Or pull it with --platform first.');
    throw error;
  }
}

/** Asks the registry alone. Throws SIGNATURE_NOT_FOUND, SIGNATURE_INVALID, KEY_INVALID and the registry's errors. */
export async function verifyImage(
  options: Named & { readonly key: SecretSource },
): Promise<{ readonly digest: Digest; readonly signatures: readonly SignedPayload[] }> {
  const key: VerifyingKey = verifyingKey(needed(openSecrets({ key: options.key }).read('key')));
  await using session = await openSession(options);
  const reference = parseReference(options.name);
  const { registry, repository } = reference;
  // One digest from here on, whatever the tag does meanwhile.
  const digest = reference.digest ?? (await remoteDigests(session, reference))[0];
  const image: SignedImage = { registry, repository, digest };
  return { digest, signatures: await verifyIn(session.registry, image, key) };
}

function needed(value: Buffer | undefined): Buffer {
  if (value !== undefined) return value;
  throw new TsbuildError('KEY_INVALID', 'Cannot use the key: the variable that is to hold it is not set');
}
