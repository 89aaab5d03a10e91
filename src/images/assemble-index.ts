/** Images of several platforms → one index in the store. Source: OCI image-spec image-index.md. */
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { normalizePlatform, type Platform } from '../oci/platform.ts';
import type { BlobSource } from './image.ts';

export interface IndexPart {
  /** Of a manifest in the store; its annotations become those of its place in the index. */
  readonly descriptor: Descriptor;
  /** undefined: it is for none, as artifacts are. */
  readonly platform: Platform | undefined;
  /** What else the platform is, of systems that are not Linux. */
  readonly details?: PlatformDetails | undefined;
}

/** Source: OCI image-spec image-index.md "platform". */
export interface PlatformDetails {
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

export interface IndexOptions {
  readonly mediaTypes: 'oci' | 'docker';
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Puts the index into the store, in the order of the parts, and returns its descriptor. Nothing refers to it yet. */
export async function assembleIndex(
  { content }: BlobSource,
  parts: readonly IndexPart[],
  options: IndexOptions = { mediaTypes: 'oci' },
): Promise<Descriptor> {
  const manifests = parts.map(({ descriptor: { mediaType, digest, size, annotations, artifactType }, platform, details }) => ({
    ...{ mediaType, digest, size },
    ...(annotations === undefined ? {} : { annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform: { ...normalizePlatform(platform), ...details } }),
  }));
  const { mediaTypes, annotations } = options;
  const mediaType = mediaTypes === 'oci' ? MEDIA_TYPE.index : MEDIA_TYPE.dockerManifestList;
  const index: ImageIndex = { schemaVersion: 2, mediaType, manifests, ...(annotations === undefined ? {} : { annotations }) };
  return { mediaType, ...(await content.put(canonicalJson(index))) };
}
