/** Puts a manifest or index under a tag or its digest. Source: distribution-spec "Pushing manifests". */
import { TsbuildError } from '../errors.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { pushScope, repositoryPath } from './repository.ts';
import type { Requester } from './requester.ts';

export interface ManifestBytes {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

export interface PutManifest {
  readonly digest: Digest;
  /** The registry says that it lists the manifest under its subject. */
  readonly subjectListed: boolean;
}

/** The digest of the bytes, once the registry has them. Its blobs must be there before. */
export async function putManifest(requester: Requester, reference: Reference, { bytes, mediaType }: ManifestBytes): Promise<PutManifest> {
  const digest = digestOf(bytes);
  const subject = formatReference(reference);
  if (reference.digest !== undefined && reference.digest !== digest) throw mismatch(subject, reference.digest, digest);
  const response = await requester.send({
    method: 'PUT',
    registry: reference.registry,
    target: `${repositoryPath(reference)}/manifests/${reference.tag ?? digest}`,
    headers: { 'content-type': mediaType, 'content-length': String(bytes.length) },
    open: () => bytes,
    scopes: [pushScope(reference.repository)],
    accept: [200, 201, 202, 204],
    action: `push ${subject}`,
  });
  response.discard();
  const said = response.header('docker-content-digest');
  if (said !== undefined && said !== digest) throw mismatch(subject, digest, JSON.stringify(said.slice(0, 150)));
  return { digest, subjectListed: response.header('oci-subject') !== undefined };
}

function mismatch(subject: string, expected: string, found: string): TsbuildError {
  return new TsbuildError('DIGEST_MISMATCH', `Cannot push ${subject}: expected ${expected}, found ${found}`);
}
