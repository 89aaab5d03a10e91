/** Removes blobs that nothing refers to. The caller holds the store's lock exclusively. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, hexOf } from '../oci/digest.ts';
import type { ContentStore } from './content-store.ts';
import { reachableFrom } from './descriptor-children.ts';
import type { ImageStore } from './image-store.ts';

export interface GarbageRoots {
  readonly root: string;
  readonly content: ContentStore;
  readonly images: ImageStore;
  /** Blobs to keep besides those of images: the cache's layers. */
  readonly keep: Iterable<Digest>;
}

/** Returns the bytes freed. */
export function collectGarbage({ root, content, images, keep }: GarbageRoots): number {
  const roots = images.list().map((image) => image.descriptor);
  const reachable = new Set<Digest>([...keep, ...reachableFrom(content, roots).map((descriptor) => descriptor.digest)]);
  let freed = 0;
  for (const digest of content.list()) {
    if (reachable.has(digest)) continue;
    freed += content.size(digest) ?? 0;
    content.remove(digest);
  }
  removeOrigins(join(root, 'origins'), reachable);
  return freed;
}

function removeOrigins(directory: string, reachable: ReadonlySet<Digest>): void {
  const kept = new Set([...reachable].map((digest) => `${hexOf(digest)}.json`));
  for (const name of readdirSync(directory)) if (!kept.has(name)) rmSync(join(directory, name), { force: true });
}
