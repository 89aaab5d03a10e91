/** An image of the store → names in the store. */
import type { Emit } from '../events.ts';
import { imageSize } from '../images/image-size.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { Store } from '../store/open-store.ts';

export interface TagSession {
  readonly store: Pick<Store, 'content' | 'images'>;
  readonly emit: Emit;
}

/** Points each name to the image. When it resolves, the image survives power loss under all of them, and without any too. */
export async function tagImage({ store, emit }: TagSession, descriptor: Descriptor, names: readonly Reference[]): Promise<void> {
  const normal = names.map(formatReference);
  if (normal.length === 0) await store.content.sync();
  for (const name of normal) await store.images.set(name, descriptor);
  emit({ kind: 'image', action: 'stored', digest: descriptor.digest, names: normal, size: imageSize(store, descriptor) });
}
