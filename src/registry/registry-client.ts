/** A client of OCI registries: streams and descriptors in, streams and descriptors out; it keeps nothing on disk. Source: OCI distribution-spec. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import { openAuthorizer } from './authorizer.ts';
import { openBlobPushes } from './blob-pushes.ts';
import type { OpenBlob } from './blob-source.ts';
import { defaultDockerConfigDir, findCredential } from './credentials.ts';
import { endpointOf } from './endpoint.ts';
import { type BlobOptions, type DigestCheck, fetchBlob } from './fetch-blob.ts';
import { hasBlob, sendBlob } from './push-blob.ts';
import { putManifest } from './push-manifest.ts';
import { RegistryError } from './registry-error.ts';
import { repositoryName } from './repository.ts';
import { openRequester } from './requester.ts';
import { type ResolvedManifest, resolveManifest } from './resolve-manifest.ts';
import { type RetryOptions, retryPolicy } from './retry.ts';
import { tokenFetcher } from './token.ts';
import type { OnProgress } from './transfer-progress.ts';
import { openTransport } from './transport.ts';

/** All methods throw RegistryError (`REGISTRY_*`) where the registry refuses, DIGEST_MISMATCH where it lies, INTERRUPTED after an abort. */
export interface RegistryClient {
  /** The manifest that the reference names, of `platform` where it is an index. Resolve a tag once in a build, then pull by digest. */
  resolve(reference: Reference, platform: Platform): Promise<ResolvedManifest>;
  /** The verified bytes of a blob, as many as it has; what came before an error is not verified, nor is anything where the caller checks the digest. */
  fetchBlob(reference: Reference, blob: Descriptor, check?: DigestCheck): AsyncIterable<Buffer>;
  hasBlob(reference: Reference, blob: Descriptor): Promise<boolean>;
  /**
   * Makes the repository have the blob; what this client has brought there before is not asked for again. `mountFrom`: repositories
   * of the same registry that may have it. `open` is called for each try.
   */
  pushBlob(reference: Reference, blob: Descriptor, open: OpenBlob, mountFrom: readonly string[]): Promise<'pushed' | 'exists' | 'mounted'>;
  /**
   * Puts a manifest under the reference's tag, or its digest. After MANIFEST_BLOB_UNKNOWN this client no longer believes the
   * registry that it has a blob: push the blobs and the manifest once more.
   */
  pushManifest(reference: Reference, bytes: Buffer, mediaType: string): Promise<Digest>;
  close(): Promise<void>;
}

export interface RegistryClientOptions {
  readonly signal: AbortSignal;
  /** Directory of Docker's `config.json`; default: `DOCKER_CONFIG`, else `~/.docker`. */
  readonly dockerConfigDir?: string | undefined;
  /** Registries (host or host:port, as in references) that may speak plain HTTP; loopback hosts always may. */
  readonly insecureRegistries?: readonly string[] | undefined;
  /** Default `/etc/docker/certs.d`. */
  readonly certificatesDir?: string | undefined;
  /** At most ten times a second for each blob. */
  readonly onProgress?: OnProgress | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly userAgent?: string | undefined;
  /** Longest silence while an answer or a body should move; default one minute. */
  readonly idleMs?: number | undefined;
  /** Longest wait for a connection; default 20 seconds. */
  readonly connectMs?: number | undefined;
}

/** What a registry says to a manifest whose blobs it does not have. */
const BLOB_MISSING: ReadonlySet<string> = new Set(['MANIFEST_BLOB_UNKNOWN', 'BLOB_UNKNOWN']);

/** Opens no socket and loads no HTTP library before its first request. */
export function openRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { requester, blobs, close } = connect(options);
  /** Repositories whose registry said that it has a blob and did not. */
  const distrusted = new Set<string>();
  const pushes = openBlobPushes(async (repository, { blob, open, mountFrom }) => {
    if (distrusted.has(repositoryName(repository))) return await sendBlob(blobs, repository, { blob, open, mountFrom: [] });
    return (await hasBlob(blobs, repository, blob)) ? 'exists' : await sendBlob(blobs, repository, { blob, open, mountFrom });
  });
  return {
    resolve: (reference, platform) => resolveManifest(requester, reference, platform),
    fetchBlob: (reference, blob, check) => fetchBlob(blobs, reference, { blob, check }),
    hasBlob: (reference, blob) => hasBlob(blobs, reference, blob),
    pushBlob: (reference, blob, open, mountFrom) => pushes.push(reference, { blob, open, mountFrom }),
    async pushManifest(reference, bytes, mediaType) {
      try {
        return await putManifest(requester, reference, { bytes, mediaType });
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

function connect(options: RegistryClientOptions): { requester: BlobOptions['requester']; blobs: BlobOptions; close(): Promise<void> } {
  const { signal, onProgress, userAgent = 'tsbuild', insecureRegistries = [] } = options;
  const policy = retryPolicy(options.retry);
  const { idleMs = 60_000, connectMs = 20_000, certificatesDir = '/etc/docker/certs.d' } = options;
  const transport = openTransport({ signal, idleMs, connectMs, certificatesDir });
  const dockerConfigDir = options.dockerConfigDir ?? defaultDockerConfigDir();
  const authorizer = openAuthorizer({
    findCredential: (registry) => findCredential(registry, dockerConfigDir),
    fetchToken: tokenFetcher({ transport, policy, signal, userAgent }),
    now: policy.now,
  });
  const endpoint = (registry: string) => endpointOf(registry, insecureRegistries);
  const requester = openRequester({ transport, authorizer, endpointOf: endpoint, policy, signal, userAgent });
  return { requester, blobs: { requester, policy, signal, onProgress }, close: () => transport.close() };
}
