/** Anything that keeps a cache: manifests by a name that the carrier knows, blobs by digest. What it gives is believed by nobody. */
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import type { RetryOptions } from '../registry/retry.ts';
import type { Store } from '../store/open-store.ts';

/** What caches are read and written with. */
export interface CacheSession {
  readonly store: Pick<Store, 'content'>;
  readonly registry: RegistryClient;
  /** For a client of its own. */
  readonly retry: RetryOptions;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface CacheCarrier {
  /** None where there is no cache. Those of a registry are verified, no others. */
  readManifests(): Promise<readonly Buffer[]>;
  /** At most as many bytes as `blob` has; not verified. */
  readBlob(blob: Descriptor): AsyncIterable<Buffer>;
  /** `open` gives the bytes anew at each call. */
  writeBlob(blob: Descriptor, open: () => AsyncIterable<Buffer>): Promise<'pushed' | 'exists' | 'mounted'>;
  /** Whether `readBlob` would find it. */
  hasBlob(blob: Descriptor): Promise<boolean>;
  /** When it resolves, readers find the new cache; until then, the old one. All blobs are there. */
  commit(manifest: CacheManifest): Promise<void>;
  close(): Promise<void>;
}

export interface CacheManifest {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly mediaType: string;
}
