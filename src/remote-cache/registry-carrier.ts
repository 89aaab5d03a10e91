/** A cache in a registry: a manifest under a tag, with blobs of its repository. Of an image, the caches in the configs of all its platforms. */
import { isIndexType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import { RegistryError } from '../registry/registry-error.ts';
import type { CacheCarrier } from './carrier.ts';

const PLATFORMS_MAX = 32;

/** `client` is closed with it where `isOwn`. */
export function openRegistryCarrier(client: RegistryClient, ref: string, isOwn: boolean): CacheCarrier {
  const reference = parseReference(ref);
  return {
    async readManifests() {
      try {
        return await documentsOf(client, reference);
      } catch (error) {
        if (error instanceof RegistryError && error.code === 'ERR_TSBUILD_REGISTRY_NOT_FOUND') return [];
        throw error;
      }
    },
    readBlob: (blob) => client.fetchBlob(reference, blob, 'by-caller'),
    hasBlob: (blob) => client.hasBlob(reference, blob),
    writeBlob: (blob, open) => client.pushBlob(reference, blob, open, []),
    async commit({ bytes, mediaType }) {
      await client.pushManifest(reference, bytes, mediaType);
    },
    close: async () => (isOwn ? await client.close() : undefined),
  };
}

async function documentsOf(client: RegistryClient, reference: Reference): Promise<Buffer[]> {
  const { bytes, document } = await client.document(reference);
  if (document.kind === 'manifest') return [bytes];
  const { registry, repository } = reference;
  const manifests: Buffer[] = [];
  for (const { digest, mediaType, size, platform } of document.index.manifests.slice(0, PLATFORMS_MAX)) {
    if (isIndexType(mediaType) || platform?.os === 'unknown' || size > MANIFEST_BYTES_MAX) continue;
    const found = await client.document({ registry, repository, digest });
    if (parseManifestDocument(found.bytes, undefined, `manifest ${digest}`).kind === 'manifest') manifests.push(found.bytes);
  }
  return manifests;
}
