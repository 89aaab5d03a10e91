/** The files that a stage stands on, made as late as possible: a base image that no step reads is never unpacked. */

import type { Image } from '../../images/image.ts';
import { unpackImage } from '../../images/unpack-image.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { BuildResources } from './resources.ts';

export type Files =
  | { readonly kind: 'empty' }
  | { readonly kind: 'image'; readonly image: Image }
  | { readonly kind: 'snapshot'; readonly name: string };

/** A layer of the result: of the base image as it came, or the changes of a snapshot, packed when the image is. */
export type LayerSource =
  | { readonly kind: 'blob'; readonly descriptor: Descriptor; readonly diffId: Digest }
  | { readonly kind: 'snapshot'; readonly name: string };

/** The committed snapshot that holds `files`; undefined for an empty root. */
export async function snapshotOf(resources: BuildResources, files: Files): Promise<string | undefined> {
  switch (files.kind) {
    case 'empty':
      return undefined;
    case 'snapshot':
      return files.name;
    case 'image':
      return await unpackImage(resources, files.image);
  }
}
