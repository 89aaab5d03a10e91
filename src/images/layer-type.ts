/** Names of layers in manifests: the same bytes are called differently by OCI and by Docker. Source: OCI image-spec media-types.md. */
import { TsbuildError } from '../errors.ts';
import type { CompressionType } from '../layers/compress.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';

const TYPES: readonly { readonly compression: CompressionType; readonly oci: string; readonly docker: string }[] = [
  { compression: 'uncompressed', oci: MEDIA_TYPE.layer, docker: 'application/vnd.docker.image.rootfs.diff.tar' },
  { compression: 'gzip', oci: MEDIA_TYPE.layerGzip, docker: MEDIA_TYPE.dockerLayerGzip },
  { compression: 'zstd', oci: MEDIA_TYPE.layerZstd, docker: 'application/vnd.docker.image.rootfs.diff.tar.zstd' },
];

/** A manifest holds types of one kind. Throws IMAGE_INVALID for what is no layer. */
export function layerTypeFor(descriptor: Descriptor, mediaTypes: 'oci' | 'docker'): string {
  return typeOf(descriptor)[mediaTypes];
}

/** Throws IMAGE_INVALID for what is no layer. */
export function compressionTypeOf(descriptor: Descriptor): CompressionType {
  return typeOf(descriptor).compression;
}

function typeOf({ digest, mediaType }: Descriptor): (typeof TYPES)[number] {
  const found = TYPES.find(({ oci, docker }) => oci === mediaType || docker === mediaType);
  if (found !== undefined) return found;
  throw new TsbuildError('IMAGE_INVALID', `Cannot use layer ${digest}: its media type is ${mediaType.slice(0, 200)}`);
}
