/** Removes blobs that nothing refers to, beside builds that go on. */
import { readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { milliseconds } from '../clock.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import type { ContentStore } from './content-store.ts';
import { reachableFrom } from './descriptor-children.ts';
import type { ImageStore } from './image-store.ts';
import { type RemovalTurns, TURN_MS } from './removal-turns.ts';
import type { Trash } from './trash.ts';

export interface GarbageRoots {
  readonly root: string;
  /** Both without pins. */
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly turns: RemovalTurns;
  readonly trash: Trash;
  /** Blobs to keep besides those of images: the cache's layers. */
  readonly keep: Iterable<Digest>;
}

/** Returns the bytes freed. */
export async function collectGarbage({ root, content, images, turns, trash, keep }: GarbageRoots): Promise<number> {
  const kept = new Set(keep);
  const needed = openNeededBlobs(content, images);
  needed.by([]);
  const queue = content.list().filter((digest) => !kept.has(digest));
  let freed = 0;
  while (queue.length > 0) {
    await turns.take((pins) => {
      const inUse = needed.by(pins.images);
      const until = milliseconds() + TURN_MS;
      for (let digest = queue.pop(); digest !== undefined; digest = milliseconds() < until ? queue.pop() : undefined) {
        if (!inUse.has(digest) && !pins.has('blob', digest)) freed += removeBlob({ content, trash }, digest);
      }
    });
    trash.empty();
  }
  removeBlobRecords(root, content);
  return freed;
}

/** Returns its bytes; 0 where it is gone already. */
export function removeBlob({ content, trash }: Pick<GarbageRoots, 'content' | 'trash'>, digest: Digest): number {
  const size = content.size(digest) ?? 0;
  return trash.take(content.path(digest)) ? size : 0;
}

export interface NeededBlobs {
  /** All that images need, and `others` with what they lead to. Each document is read once, whatever is asked later. */
  by(others: readonly Descriptor[]): ReadonlySet<Digest>;
}

export function openNeededBlobs(content: ContentStore, images: ImageStore): NeededBlobs {
  const known = new Map<string, readonly Descriptor[]>();
  return {
    by(others) {
      const roots = [...images.list().map((image) => image.descriptor), ...others];
      return new Set(reachableFrom(content, roots, known).map((descriptor) => descriptor.digest));
    },
  };
}

/** Where blobs came from, and that they were hashed: for as long as the store has them. One that goes too early is made again. */
export function removeBlobRecords(root: string, content: ContentStore): void {
  const kept = new Set<string>(content.list().map(hexOf));
  for (const directory of ['origins', 'verified'].map((name) => join(root, name)))
    for (const name of readdirSync(directory)) if (!kept.has(basename(name, '.json'))) rmSync(join(directory, name), { force: true });
}
