/** Committed snapshots: files of steps, unpacked layers, checkouts, and copies of contexts. */
import type { LayerRecord, StepRecord } from '../cache/build-cache.ts';
import { TsbuildError } from '../errors.ts';
import { chainIds } from '../images/chain-id.ts';
import type { Image } from '../images/image.ts';
import { presentImages } from '../images/present-images.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import { familiarName, parseReference } from '../oci/reference.ts';
import { type CommittedSnapshot, committedSnapshots, knownSize } from '../snapshots/committed-snapshots.ts';
import type { Pins } from '../store/leases.ts';
import type { Store } from '../store/open-store.ts';
import type { UsageItem } from './usage-entry.ts';

export interface SnapshotFacts {
  readonly pins: Pins;
  readonly steps: readonly (readonly [key: string, record: StepRecord])[];
  readonly layers: readonly (readonly [key: string, record: LayerRecord])[];
  /** Blob → names of the images that need it. */
  readonly images: ReadonlyMap<Digest, readonly string[]>;
  /** Name → names of the images that it is an unpacked layer of. */
  readonly unpacked: ReadonlyMap<string, readonly string[]>;
}

/** The snapshots that layers of named images are unpacked into, by name; they may not be there. */
export async function unpackedLayers({ unpinned }: Pick<Store, 'unpinned'>): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const { name, descriptor } of unpinned.images.list()) {
    const familiar = familiarName(parseReference(name));
    for (const { config } of await readableImages(unpinned, descriptor)) {
      for (const chain of chainIds(config.rootfs.diff_ids)) found.set(hexOf(chain), [...(found.get(hexOf(chain)) ?? []), familiar]);
    }
  }
  return found;
}

/** None where a document is damaged, or is removed just now: whoever uses the image is told. */
async function readableImages(source: Store['unpinned'], descriptor: Descriptor): Promise<Image[]> {
  try {
    return await presentImages(source, descriptor);
  } catch (error) {
    if (error instanceof TsbuildError) return [];
    throw error;
  }
}

/** `bytes` is 0 where nobody has measured it. */
export function snapshotUsage(root: string, facts: SnapshotFacts): UsageItem[] {
  const snapshots = committedSnapshots(root);
  const children = childrenOf(snapshots);
  const steps = new Set(facts.steps.map(([, { snapshot }]) => snapshot));
  const images = imagesOfSnapshots(snapshots, facts);
  const pinned = withParents(
    snapshots.filter(({ name }) => facts.pins.has('snapshot', name)),
    snapshots,
  );
  return snapshots.map((snapshot): UsageItem => {
    const { name, info, usedAtMs } = snapshot;
    const key = keyOf(snapshot);
    const inUse = pinned.has(key);
    const named = images.get(key) ?? [];
    const above = children.get(key) ?? [];
    return {
      ...{ kind: info?.purpose?.kind ?? (steps.has(name) ? 'step' : 'snapshot'), id: name, bytes: knownSize(snapshot) ?? 0 },
      description: info?.purpose?.text ?? (info === undefined ? 'torn by a crash' : ''),
      ...{ createdAt: info === undefined ? undefined : Date.parse(info.createdAt), usedAt: usedAtMs },
      usedBy: [
        ...named.map((image) => `image ${image}`),
        ...above.map((child) => `snapshot ${child}`),
        ...(inUse ? ['a running command'] : []),
      ],
      ...{ shared: named.length > 0, inUse, reclaimable: !inUse, key },
      parent: parentKey(snapshot),
      place: { kind: 'snapshot', snapshot },
    };
  });
}

function keyOf({ base, name }: Pick<CommittedSnapshot, 'base' | 'name'>): string {
  return `${base}/${name}`;
}

function parentKey({ base, info }: CommittedSnapshot): string | undefined {
  return info?.parent === undefined ? undefined : `${base}/${info.parent}`;
}

function childrenOf(snapshots: readonly CommittedSnapshot[]): Map<string, string[]> {
  const children = new Map<string, string[]>();
  for (const snapshot of snapshots) {
    const parent = parentKey(snapshot);
    if (parent === undefined) continue;
    const known = children.get(parent);
    if (known === undefined) children.set(parent, [snapshot.name]);
    else known.push(snapshot.name);
  }
  return children;
}

/** Snapshots of which a named image has the layer, and what they stand on. */
function imagesOfSnapshots(
  snapshots: readonly CommittedSnapshot[],
  { layers, images, unpacked }: SnapshotFacts,
): Map<string, readonly string[]> {
  const byName = new Map<string, readonly string[]>(unpacked);
  for (const [key, { snapshot = key, descriptor }] of layers) {
    const names = images.get(descriptor.digest);
    if (names !== undefined) byName.set(snapshot, names);
  }
  const byKey = keyed(snapshots);
  const found = new Map<string, readonly string[]>();
  for (const snapshot of snapshots) {
    const names = byName.get(snapshot.name);
    if (names === undefined) continue;
    for (let at: CommittedSnapshot | undefined = snapshot; at !== undefined && !found.has(keyOf(at)); at = byKey.get(parentKey(at) ?? '')) {
      found.set(keyOf(at), byName.get(at.name) ?? names);
    }
  }
  return found;
}

function keyed(snapshots: readonly CommittedSnapshot[]): Map<string, CommittedSnapshot> {
  return new Map(snapshots.map((snapshot) => [keyOf(snapshot), snapshot]));
}

function withParents(some: readonly CommittedSnapshot[], all: readonly CommittedSnapshot[]): Set<string> {
  const byKey = keyed(all);
  const found = new Set<string>();
  for (const snapshot of some) {
    for (let at: CommittedSnapshot | undefined = snapshot; at !== undefined && !found.has(keyOf(at)); at = byKey.get(parentKey(at) ?? '')) {
      found.add(keyOf(at));
    }
  }
  return found;
}
