import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';

/** A build's result as an image of the store, or as an index of several. */
export interface AssembledImage {
  /** Of the manifest or index. */
  readonly descriptor: Descriptor;
  /** Digest of the config; of the first platform's, where there are several. */
  readonly imageId: Digest;
  readonly config: ImageConfig;
  /** Bytes of all blobs. */
  readonly size: number;
}
