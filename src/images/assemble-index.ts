/** Images of several platforms → one index in the store. Source: OCI image-spec image-index.md. */
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { normalizePlatform, type Platform } from '../oci/platform.ts';
import type { BlobSource } from './image.ts';

export interface IndexPart {
  /** Of a manifest in the store. */
  readonly descriptor: Descriptor;
  readonly platform: Platform;
}

/** Puts the index into the store, in the order of the parts, and returns its descriptor. Nothing refers to it yet. */
export async function assembleIndex({ content }: BlobSource, parts: readonly IndexPart[]): Promise<Descriptor> {
  const manifests = parts.map(({ descriptor: { mediaType, digest, size }, platform }) => ({
    ...{ mediaType, digest, size },
    platform: normalizePlatform(platform),
  }));
  const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests };
  return { mediaType: MEDIA_TYPE.index, ...(await content.put(canonicalJson(index))) };
}
