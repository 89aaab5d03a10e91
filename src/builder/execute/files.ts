/** The files that a stage stands on, made as late as possible: a base image that no step reads is never unpacked. */

import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import { type CacheKey, stepKey } from '../../cache/cache-key.ts';
import type { PortableLayer } from '../../cache/portable-step.ts';
import { chainIds } from '../../images/chain-id.ts';
import type { Image } from '../../images/image.ts';
import { unpackImage } from '../../images/unpack-image.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import { overlayDiff } from '../../layers/overlay-diff.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, hexOf } from '../../oci/digest.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { isSound } from '../../snapshots/unsound-snapshot.ts';
import { fromText } from '../../tree/byte-string.ts';
import type { Change } from '../../tree/change.ts';
import { unpackLayer } from './packed-layer.ts';
import type { BuildResources } from './resources.ts';

export type Files =
  | { readonly kind: 'empty' }
  | { readonly kind: 'image'; readonly image: Image }
  | { readonly kind: 'snapshot'; readonly name: string }
  | PackedFiles
  /** Bare directories, from the root, the uppermost first. */
  | { readonly kind: 'ground'; readonly directories: readonly string[] }
  /** A layer made by itself (`--link`) over others; `key` is the identity of the whole. */
  | { readonly kind: 'laid'; readonly layer: Files; readonly below: Files; readonly key: CacheKey };

/** A step whose files are not here: a layer to be unpacked over `below` as the snapshot `name`. */
export interface PackedFiles {
  readonly kind: 'packed';
  /** `here`: by the name that its snapshot had. `elsewhere`: by one that says what is in it. */
  readonly made: 'here' | 'elsewhere';
  readonly name: string;
  /** undefined where no cache has it. */
  readonly layer: PortableLayer | undefined;
  readonly below: Files;
}

/** A layer of the result: of the base image as it came, or the changes of a snapshot, packed when the image is. */
export type LayerSource =
  | { readonly kind: 'blob'; readonly descriptor: Descriptor; readonly diffId: Digest }
  /** `step`: id of the step that made it; undefined where a base image or a context brought it. `packed`: where the snapshot may not be there yet. */
  | { readonly kind: 'snapshot'; readonly name: string; readonly step?: string; readonly packed?: PackedFiles };

/** The committed snapshot that holds `files`, which are as they were made; undefined for an empty root. Throws UnsoundSnapshot. */
export async function snapshotOf(resources: BuildResources, files: Files): Promise<string | undefined> {
  const name = await locatedSnapshot(resources, files);
  await resources.snapshots.check(name);
  return name;
}

/** The same for who asks `checkBelow` later: comparing the files of a base image takes longer than a short step. */
export async function locatedSnapshot(resources: BuildResources, files: Files): Promise<string | undefined> {
  switch (files.kind) {
    case 'empty':
      return undefined;
    case 'snapshot':
      return files.name;
    case 'image':
      return await unpackImage(resources, files.image);
    case 'packed':
      return await packedSnapshot(resources, files);
    case 'ground':
      return await groundSnapshot(resources, files.directories);
    case 'laid':
      return await laidSnapshot(resources, files);
  }
}

/** The same for the same files, and for no others; nothing is made. */
export function filesName(files: Files): string {
  switch (files.kind) {
    case 'empty':
      return '';
    case 'snapshot':
    case 'packed':
      return files.name;
    case 'image':
      return hexOf(chainIds(files.image.config.rootfs.diff_ids).at(-1) ?? 'sha256:');
    case 'ground':
      return stepKey(files);
    case 'laid':
      return laidName(files);
  }
}

const LAID_NAMES = new WeakMap<Files, string>();

/** Each once: of ten thousand on top of each other, each would have to ask all below. */
function laidName(files: Files & { kind: 'laid' }): string {
  const name = LAID_NAMES.get(files) ?? stepKey({ kind: 'laid', parent: filesName(files.below), layer: filesName(files.layer) });
  LAID_NAMES.set(files, name);
  return name;
}

/** Where many layers are to be unpacked, the lowest is first. */
async function packedSnapshot(resources: BuildResources, files: PackedFiles): Promise<string> {
  const chain: PackedFiles[] = [];
  let at: Files = files;
  for (; at.kind === 'packed' && !resources.snapshots.isWhole(at.name); at = at.below) chain.unshift(at);
  if (chain.length === 0) return files.name;
  let parent = await snapshotOf(resources, at.kind === 'packed' ? { kind: 'snapshot', name: at.name } : at);
  for (const { name, layer } of chain) {
    await unpackLayer(resources, { name, layer, parent });
    parent = name;
  }
  return files.name;
}

/** Named by what is in it. */
async function groundSnapshot(resources: BuildResources, directories: readonly string[]): Promise<string> {
  const { snapshots, signal } = resources;
  const name = stepKey({ kind: 'ground', directories });
  if (await isSound(resources, name)) return name;
  const active = snapshots.prepare(undefined);
  try {
    await applyChanges(directories.map(bareDirectory), active.upperFd, { signal });
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
  return snapshots.commit(active, name).name;
}

function bareDirectory(path: string): Change {
  const times = { mtimeNs: 0n, ctimeNs: 0n };
  return {
    kind: 'add',
    path: fromText(path),
    node: { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, ...times },
    xattrs: new Map(),
  };
}

/** Made only when a step reads it: after a last COPY --link, nobody does. */
async function laidSnapshot(resources: BuildResources, { layer, below, key }: Files & { kind: 'laid' }): Promise<string> {
  const { cache, snapshots } = resources;
  const known = cache.steps.get(key);
  if (known !== undefined && snapshots.isWhole(known.snapshot)) return known.snapshot;
  const own = await snapshotOf(resources, layer);
  const active = snapshots.prepare(await snapshotOf(resources, below));
  try {
    if (own !== undefined) await layOver(resources, active, own);
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
  const { name } = snapshots.commit(active, randomBytes(32).toString('hex'), {
    purpose: { kind: 'step', text: 'COPY --link, laid over what is below it' },
  });
  cache.steps.set(key, { snapshot: name });
  return name;
}

/** What the layer changes of its own ground, it changes here. */
async function layOver({ emit, snapshots, signal }: BuildResources, active: ActiveSnapshot, layer: string): Promise<void> {
  using ground = snapshots.tree(snapshots.get(layer)?.parent);
  using lower = snapshots.tree(active.parent?.name);
  const upperFd = snapshots.upper(layer);
  try {
    await applyChanges(overlayDiff(upperFd, ground), active.upperFd, { lower, signal, losses: { emit, of: 'a COPY --link' } });
  } finally {
    closeSync(upperFd);
  }
}
