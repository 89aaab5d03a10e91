/** Names of layers in manifests: the same bytes are called differently by OCI and by Docker. Source: OCI image-spec media-types.md. */
import { TsbuildError } from '../errors.ts';
import type { CompressionType } from '../layers/compress.ts';
import { ESTARGZ_ANNOTATIONS } from '../layers/estargz.ts';
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
  const { compression } = typeOf(descriptor);
  return compression === 'gzip' && descriptor.annotations?.[ESTARGZ_ANNOTATIONS.toc] !== undefined ? 'estargz' : compression;
}

/** What a manifest says of the layer beside its type: of its bytes alone, not of the image that it came from. */
export function layerAnnotations({ annotations = {} }: Descriptor): Pick<Descriptor, 'annotations'> {
  const kept = Object.values(ESTARGZ_ANNOTATIONS).flatMap((key) => {
    const value = annotations[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  return kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) };
}

function typeOf({ digest, mediaType }: Descriptor): (typeof TYPES)[number] {
  const found = TYPES.find(({ oci, docker }) => oci === mediaType || docker === mediaType);
  if (found !== undefined) return found;
  throw new TsbuildError('IMAGE_INVALID', `Cannot use layer ${digest}: its media type is ${mediaType.slice(0, 200)}`);
}
