/** Config and layers → an image in the store. Same input, same digest. */
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { BlobSource } from './image.ts';
import { layersInHistory } from './normalize-history.ts';

export interface ImageParts {
  /** `rootfs` is made from the layers. */
  readonly config: Omit<ImageConfig, 'rootfs'>;
  /** Bottom first; their blobs are in the store. */
  readonly layers: readonly { readonly descriptor: Descriptor; readonly diffId: Digest }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An OCI manifest holds OCI types: layers of a Docker base are the same bytes under another name. */
const OCI_LAYER_TYPES: ReadonlyMap<string, string> = new Map([
  [MEDIA_TYPE.layer, MEDIA_TYPE.layer],
  [MEDIA_TYPE.layerGzip, MEDIA_TYPE.layerGzip],
  [MEDIA_TYPE.layerZstd, MEDIA_TYPE.layerZstd],
  [MEDIA_TYPE.dockerLayerGzip, MEDIA_TYPE.layerGzip],
  ['application/vnd.docker.image.rootfs.diff.tar', MEDIA_TYPE.layer],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', MEDIA_TYPE.layerZstd],
]);

/** Puts config and manifest into the store and returns the manifest's descriptor. Nothing refers to it yet. */
export async function assembleImage({ content }: BlobSource, { config, layers, annotations }: ImageParts): Promise<Descriptor> {
  const told = layersInHistory(config.history ?? []);
  if (told !== layers.length) throw new Error(`The history tells of ${told} layers, there are ${layers.length}`);
  for (const { descriptor } of layers) checkPresent(content.size(descriptor.digest), descriptor);
  const rootfs: ImageConfig['rootfs'] = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
  const configBlob = await content.put(canonicalJson({ ...config, rootfs }));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: { mediaType: MEDIA_TYPE.config, ...configBlob },
    layers: layers.map(({ descriptor }) => ({ mediaType: ociLayerType(descriptor), digest: descriptor.digest, size: descriptor.size })),
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  return { mediaType: MEDIA_TYPE.manifest, ...(await content.put(canonicalJson(manifest))) };
}

function ociLayerType(descriptor: Descriptor): string {
  const type = OCI_LAYER_TYPES.get(descriptor.mediaType);
  if (type !== undefined) return type;
  throw new TsbuildError('IMAGE_INVALID', `Cannot use layer ${descriptor.digest}: its media type is ${descriptor.mediaType.slice(0, 200)}`);
}

function checkPresent(size: number | undefined, { digest, size: expected }: Descriptor): void {
  if (size === expected) return;
  throw new TsbuildError(
    'STORE_INVALID',
    `Cannot use layer ${digest}: ${size === undefined ? 'not in the store' : `${size} bytes, not ${expected}`}`,
    {
      hint: 'Pull or build the base image again.',
    },
  );
}
