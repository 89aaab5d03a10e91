import type { Descriptor } from '../oci/descriptor.ts';
import { reachableFrom } from '../store/descriptor-children.ts';
import type { BlobSource } from './image.ts';

/** Bytes of all blobs in the store that `descriptor` leads to, itself included, each counted once. */
export function imageSize({ content }: BlobSource, descriptor: Descriptor): number {
  return reachableFrom(content, [descriptor]).reduce((sum, { digest }) => sum + (content.size(digest) ?? 0), 0);
}
