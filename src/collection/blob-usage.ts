/** Blobs: those that named images need, packed layers of the cache, and the rest. */
import { lstatSync } from 'node:fs';
import type { LayerRecord } from '../cache/build-cache.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { familiarName, parseReference } from '../oci/reference.ts';
import { reachableFrom } from '../store/descriptor-children.ts';
import type { Pins } from '../store/leases.ts';
import type { Store } from '../store/open-store.ts';
import type { UsageItem } from './usage-entry.ts';

export interface BlobFacts {
  readonly pins: Pins;
  readonly layers: readonly (readonly [key: string, record: LayerRecord])[];
  /** Blob → names of the images that need it. */
  readonly images: ReadonlyMap<Digest, readonly string[]>;
  /** What running commands found by name, and all that it leads to. */
  readonly pinned: ReadonlySet<Digest>;
}

/** Which named images need which blobs. */
export function imagesOfBlobs({ unpinned }: Pick<Store, 'unpinned'>): Map<Digest, string[]> {
  const { content, images } = unpinned;
  const known = new Map<string, readonly Descriptor[]>();
  const found = new Map<Digest, string[]>();
  for (const { name, descriptor } of images.list()) {
    for (const { digest } of reachableFrom(content, [descriptor], known)) {
      found.set(digest, [...(found.get(digest) ?? []), familiarName(parseReference(name))]);
    }
  }
  return found;
}

export function pinnedBlobs({ unpinned }: Pick<Store, 'unpinned'>, pins: Pins): Set<Digest> {
  return new Set(reachableFrom(unpinned.content, pins.images).map(({ digest }) => digest));
}

export function blobUsage({ unpinned: { content } }: Pick<Store, 'unpinned'>, facts: BlobFacts): UsageItem[] {
  const packed = new Map(facts.layers.map(([, record]) => [record.descriptor.digest, record]));
  return content.list().flatMap((digest): UsageItem[] => {
    const stat = lstatSync(content.path(digest), { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const images = facts.images.get(digest) ?? [];
    const record = packed.get(digest);
    const inUse = facts.pinned.has(digest) || facts.pins.has('blob', digest);
    const kind = images.length > 0 ? 'image' : record === undefined ? 'blob' : 'layer';
    const description = kind === 'image' ? images.join(', ') : kind === 'blob' ? 'nothing refers to it' : describeLayer(record);
    return [
      {
        ...{ kind, id: digest, description, bytes: stat.blocks * 512 },
        ...{ createdAt: stat.birthtimeMs || undefined, usedAt: stat.mtimeMs },
        ...{
          usedBy: [...images.map((name) => `image ${name}`), ...(inUse ? ['a running command'] : [])],
          shared: images.length > 1,
          inUse,
        },
        ...{ reclaimable: images.length === 0 && !inUse, key: digest, parent: undefined, place: { kind: 'blob', digest } },
      },
    ];
  });
}

function describeLayer(record: LayerRecord | undefined): string {
  return record?.snapshot === undefined ? 'a layer compressed anew' : `the layer of ${record.snapshot.slice(0, 12)}`;
}
