/** The files that a stage stands on, made as late as possible: a base image that no step reads is never unpacked. */

import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import type { CacheKey } from '../../cache/cache-key.ts';
import type { Image } from '../../images/image.ts';
import { unpackImage } from '../../images/unpack-image.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import { overlayDiff } from '../../layers/overlay-diff.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import type { BuildResources } from './resources.ts';

export type Files =
  | { readonly kind: 'empty' }
  | { readonly kind: 'image'; readonly image: Image }
  | { readonly kind: 'snapshot'; readonly name: string }
  /** A layer made by itself (`--link`) over others; `key` is the identity of the whole. */
  | { readonly kind: 'laid'; readonly layer: string; readonly below: Files; readonly key: CacheKey };

/** A layer of the result: of the base image as it came, or the changes of a snapshot, packed when the image is. */
export type LayerSource =
  | { readonly kind: 'blob'; readonly descriptor: Descriptor; readonly diffId: Digest }
  /** `step`: id of the step that made it; undefined where a base image or a context brought it. */
  | { readonly kind: 'snapshot'; readonly name: string; readonly step?: string };

/** The committed snapshot that holds `files`; undefined for an empty root. */
export async function snapshotOf(resources: BuildResources, files: Files): Promise<string | undefined> {
  switch (files.kind) {
    case 'empty':
      return undefined;
    case 'snapshot':
      return files.name;
    case 'image':
      return await unpackImage(resources, files.image);
    case 'laid':
      return await laidSnapshot(resources, files);
  }
}

/** Made only when a step reads it: after a last COPY --link, nobody does. */
async function laidSnapshot(resources: BuildResources, { layer, below, key }: Files & { kind: 'laid' }): Promise<string> {
  const { cache, snapshots } = resources;
  const known = cache.steps.get(key);
  if (known !== undefined && snapshots.get(known.snapshot) !== undefined) return known.snapshot;
  const active = snapshots.prepare(await snapshotOf(resources, below));
  try {
    await layOver(resources, active, layer);
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
  const { name } = snapshots.commit(active, randomBytes(32).toString('hex'));
  cache.steps.set(key, { snapshot: name });
  return name;
}

/** What the layer changes of its own ground, it changes here. */
async function layOver({ snapshots, signal }: BuildResources, active: ActiveSnapshot, layer: string): Promise<void> {
  using ground = snapshots.tree(snapshots.get(layer)?.parent);
  using lower = snapshots.tree(active.parents.at(-1)?.name);
  const upperFd = snapshots.upper(layer);
  try {
    await applyChanges(overlayDiff(upperFd, ground), active.upperFd, { lower, signal });
  } finally {
    closeSync(upperFd);
  }
}
