/** Keys that sign payloads and verify signatures, as cosign uses them: ECDSA and RSA (PKCS #1 v1.5) with SHA-256, Ed25519. Nothing of a private key is in any message. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { TsbuildError } from '../../errors.ts';

export interface VerifyingKey {
  verifies(payload: Buffer, signature: Buffer): boolean;
}

export interface SigningKey extends VerifyingKey {
  /** ECDSA signatures are DER, and another one each time. */
  sign(payload: Buffer): Buffer;
}

const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];
const RSA_BITS_MIN = 2048;
const OF_COSIGN = /-----BEGIN ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY-----/;

/** `pem`: PKCS #8, or what openssl wrote before it; `passphrase`: of an encrypted one. Throws KEY_INVALID. */
export function signingKey(pem: Buffer, passphrase: Buffer | undefined): SigningKey {
  if (OF_COSIGN.test(pem.toString('latin1'))) {
    throw invalid(
      'it is in the encrypted form of cosign, which tsbuild does not read',
      'Use a key in PKCS #8, which `cosign import-key-pair` takes, too: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256.',
    );
  }
  const key = parsed(
    () => createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) }),
    pem,
    passphrase,
  );
  const publicKey = createPublicKey(key);
  checkKind(publicKey);
  const algorithm = algorithmOf(publicKey);
  return { sign: (payload) => sign(algorithm, payload, key), ...verifier(publicKey) };
}

/** `pem`: a public key or a certificate. A private key is refused: whoever verifies has no business with it. Throws KEY_INVALID. */
export function verifyingKey(pem: Buffer): VerifyingKey {
  if (/PRIVATE KEY-----/.test(pem.toString('latin1')))
    throw invalid('it is a private key', 'Give the public one: openssl pkey -in KEY -pubout.');
  const key = parsed(() => createPublicKey({ key: pem, format: 'pem' }), pem, undefined);
  checkKind(key);
  return verifier(key);
}

function verifier(key: KeyObject): VerifyingKey {
  return { verifies: (payload, signature) => verify(algorithmOf(key), payload, key, signature) };
}

function algorithmOf({ asymmetricKeyType }: KeyObject): 'sha256' | null {
  return asymmetricKeyType === 'ed25519' ? null : 'sha256';
}

function checkKind({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): void {
  const isKnown =
    type === 'ed25519' ||
    (type === 'ec' && CURVES.includes(details.namedCurve)) ||
    (type === 'rsa' && (details.modulusLength ?? 0) >= RSA_BITS_MIN);
  if (!isKnown) throw invalid('it is neither ECDSA (P-256, P-384, P-521), nor Ed25519, nor RSA of 2048 bits or more');
}

function parsed(read: () => KeyObject, pem: Buffer, passphrase: Buffer | undefined): KeyObject {
  try {
    return read();
  } catch {
    // What OpenSSL says of it may quote it.
    const isEncrypted = /ENCRYPTED/.test(pem.toString('latin1'));
    if (isEncrypted && passphrase === undefined) throw invalid('it has a passphrase', 'Set COSIGN_PASSWORD to it.');
    throw invalid(isEncrypted ? 'its passphrase is another one, or it is damaged' : 'it is no key in PEM');
  }
}

function invalid(reason: string, hint?: string): TsbuildError {
  return new TsbuildError('KEY_INVALID', `Cannot use the key: ${reason}`, { hint });
}
