/** A client of OCI registries: streams and descriptors in, streams and descriptors out; it keeps nothing on disk. Source: OCI distribution-spec. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import { openAuthorizer } from './authorizer.ts';
import { openBlobPushes } from './blob-pushes.ts';
import type { OpenBlob } from './blob-source.ts';
import { type ConnectionOptions, openConnection } from './connection.ts';
import { credentialFiles } from './credential-files.ts';
import { rememberingCredentials } from './credentials.ts';
import { type BlobOptions, type DigestCheck, fetchBlob } from './fetch-blob.ts';
import { throughMirrors } from './mirrored.ts';
import { hasBlob, sendBlob } from './push-blob.ts';
import { putManifest } from './push-manifest.ts';
import { addToReferrersTag, listReferrers, type Referrers, type ReferrersQuestion, referrerOf } from './referrers.ts';
import type { Registries } from './registries.ts';
import { RegistryError } from './registry-error.ts';
import { type Repository, repositoryName } from './repository.ts';
import { openRequester, type Requester } from './requester.ts';
import { type FetchedDocument, fetchDocument, type ResolvedManifest, resolveManifest } from './resolve-manifest.ts';
import { tokenFetcher } from './token.ts';
import type { OnProgress } from './transfer-progress.ts';

/** All methods throw RegistryError (`REGISTRY_*`) where the registry refuses, DIGEST_MISMATCH where it lies, INTERRUPTED after an abort. */
export interface RegistryClient {
  /** The manifest that the reference names, of `platform` where it is an index. Resolve a tag once in a build, then pull by digest. */
  resolve(reference: Reference, platform: Platform): Promise<ResolvedManifest>;
  /** The manifest or index that the reference names, as it is. */
  document(reference: Reference): Promise<FetchedDocument>;
  /** What the registry knows to refer to the subject, whether that is there or not. */
  referrers(repository: Repository, question: ReferrersQuestion): Promise<Referrers>;
  /** The verified bytes of a blob, as many as it has; what came before an error is not verified, nor is anything where the caller checks the digest. */
  fetchBlob(reference: Reference, blob: Descriptor, check?: DigestCheck): AsyncIterable<Buffer>;
  hasBlob(reference: Reference, blob: Descriptor): Promise<boolean>;
  /**
   * Makes the repository have the blob; what this client has brought there before is not asked for again. `mountFrom`: repositories
   * of the same registry that may have it. `open` is called for each try.
   */
  pushBlob(reference: Reference, blob: Descriptor, open: OpenBlob, mountFrom: readonly string[]): Promise<'pushed' | 'exists' | 'mounted'>;
  /**
   * Puts a manifest under the reference's tag, or its digest, and makes it a referrer of its subject. After MANIFEST_BLOB_UNKNOWN this client no longer believes the
   * registry that it has a blob: push the blobs and the manifest once more.
   */
  pushManifest(reference: Reference, bytes: Buffer, mediaType: string): Promise<Digest>;
  close(): Promise<void>;
}

export interface RegistryClientOptions extends ConnectionOptions {
  /** At most ten times a second for each blob. */
  readonly onProgress?: OnProgress | undefined;
  /** What somebody may want to know, such as a mirror that failed. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** What a registry says to a manifest whose blobs it does not have. */
const BLOB_MISSING: ReadonlySet<string> = new Set(['MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN']);

/** Opens no socket and loads no HTTP library before its first request. Throws CONFIGURATION_INVALID where registries.json is wrong. */
export function openRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { registries, ...connected } = connect(options);
  return throughMirrors(openDirectClient(connected), { registries, signal: options.signal, onNotice: options.onNotice ?? (() => {}) });
}

/** References are where they say. */
function openDirectClient({ requester, blobs, close }: Connected): RegistryClient {
  /** Repositories whose registry said that it has a blob and did not. */
  const distrusted = new Set<string>();
  const pushes = openBlobPushes(async (repository, { blob, open, mountFrom }) => {
    if (distrusted.has(repositoryName(repository))) return await sendBlob(blobs, repository, { blob, open, mountFrom: [] });
    return (await hasBlob(blobs, repository, blob)) ? 'exists' : await sendBlob(blobs, repository, { blob, open, mountFrom });
  });
  return {
    resolve: (reference, platform) => resolveManifest(requester, reference, platform),
    document: (reference) => fetchDocument(requester, reference),
    referrers: (repository, question) => listReferrers(requester, repository, question),
    fetchBlob: (reference, blob, check) => fetchBlob(blobs, reference, { blob, check }),
    hasBlob: (reference, blob) => hasBlob(blobs, reference, blob),
    pushBlob: (reference, blob, open, mountFrom) => pushes.push(reference, { blob, open, mountFrom }),
    async pushManifest(reference, bytes, mediaType) {
      try {
        const { digest, subjectListed } = await putManifest(requester, reference, { bytes, mediaType });
        const referrer = subjectListed ? undefined : referrerOf(bytes, mediaType);
        if (referrer !== undefined) await addToReferrersTag(requester, reference, referrer);
        return digest;
      } catch (error) {
        if (error instanceof RegistryError && error.codes.some((code) => BLOB_MISSING.has(code))) {
          distrusted.add(repositoryName(reference));
          pushes.forget(reference);
        }
        throw error;
      }
    },
    close,
  };
}

interface Connected {
  readonly requester: Requester;
  readonly blobs: BlobOptions;
  close(): Promise<void>;
}

function connect(options: RegistryClientOptions): Connected & { readonly registries: Registries } {
  const connection = openConnection(options);
  const { transport, policy, signal, userAgent } = connection;
  const authorizer = openAuthorizer({
    findCredential: rememberingCredentials(credentialFiles(connection.dockerConfigDir)),
    fetchToken: tokenFetcher({ transport, policy, signal, userAgent }),
    now: policy.now,
  });
  const requester = openRequester({ ...connection, authorizer });
  const blobs = { requester, policy, signal, onProgress: options.onProgress };
  return { requester, blobs, registries: connection.registries, close: () => transport.close() };
}
