/** Config and layers → an image in the store. Same input, same digest. */
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { BlobSource } from './image.ts';
import { layerAnnotations, layerTypeFor } from './layer-type.ts';
import { layersInHistory } from './normalize-history.ts';

export interface ImageParts {
  /** `rootfs` is made from the layers. */
  readonly config: Omit<ImageConfig, 'rootfs'>;
  /** Bottom first; their blobs are in the store. */
  readonly layers: readonly { readonly descriptor: Descriptor; readonly diffId: Digest }[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** `oci` where it is absent. */
  readonly mediaTypes?: 'oci' | 'docker';
}

const DOCUMENT_TYPES = {
  oci: { manifest: MEDIA_TYPE.manifest, config: MEDIA_TYPE.config },
  docker: { manifest: MEDIA_TYPE.dockerManifest, config: MEDIA_TYPE.dockerConfig },
} as const;

/** Puts config and manifest into the store and returns the manifest's descriptor. Nothing refers to it yet. */
export async function assembleImage({ content }: BlobSource, parts: ImageParts): Promise<Descriptor> {
  const { config, layers, annotations, mediaTypes = 'oci' } = parts;
  const told = layersInHistory(config.history ?? []);
  if (told !== layers.length) throw new Error(`The history tells of ${told} layers, there are ${layers.length}`);
  for (const { descriptor } of layers) checkPresent(content.size(descriptor.digest), descriptor);
  const rootfs: ImageConfig['rootfs'] = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
  const configBlob = await content.put(canonicalJson({ ...config, rootfs }));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: DOCUMENT_TYPES[mediaTypes].manifest,
    config: { mediaType: DOCUMENT_TYPES[mediaTypes].config, ...configBlob },
    layers: layers.map(({ descriptor }) => layerEntry(descriptor, mediaTypes)),
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  return { mediaType: manifest.mediaType, ...(await content.put(canonicalJson(manifest))) };
}

function layerEntry(descriptor: Descriptor, mediaTypes: 'oci' | 'docker'): Descriptor {
  const annotations = mediaTypes === 'oci' ? layerAnnotations(descriptor) : {};
  return { mediaType: layerTypeFor(descriptor, mediaTypes), digest: descriptor.digest, size: descriptor.size, ...annotations };
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
