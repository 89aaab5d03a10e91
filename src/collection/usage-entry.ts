/** What takes space in a state directory, one value for each thing that can be removed by itself. */
import type { Digest } from '../oci/digest.ts';
import type { CommittedSnapshot } from '../snapshots/committed-snapshots.ts';

export const USAGE_KINDS = [
  ...(['image', 'layer', 'blob', 'step', 'image-layer', 'git-checkout', 'context-copy', 'snapshot'] as const),
  ...(['cache-mount', 'download', 'git-repository', 'context-index', 'records', 'unfinished', 'container'] as const),
];

/**
 * `image`: a blob that a named image needs. `layer`: a packed layer of the cache. `blob`: one that nothing refers to. Then files of
 * steps, and those unpacked or copied for steps; `snapshot` where nobody knows for what. `records`: all small files of the cache.
 */
export type UsageKind = (typeof USAGE_KINDS)[number];

export interface UsageEntry {
  readonly kind: UsageKind;
  /** Of its own kind: a digest, the name of a snapshot, a key. */
  readonly id: string;
  /** As people know it: the instruction, the id of the cache mount, the names of images, an address without credentials. */
  readonly description: string;
  /** On the disk. */
  readonly bytes: number;
  /** Milliseconds since the epoch; undefined where it is not known. */
  readonly createdAt: number | undefined;
  readonly usedAt: number;
  /** Images by name, other entries by id, `a running command`. */
  readonly usedBy: readonly string[];
  /** A named image has it, too: it is made again from the image, or has to be made again for it. */
  readonly shared: boolean;
  /** A running command uses it now. */
  readonly inUse: boolean;
  /** `prune --all` would remove it now. */
  readonly reclaimable: boolean;
}

/** With how it is removed. */
export interface UsageItem extends UsageEntry {
  /** Among all items. */
  readonly key: string;
  /** The item that it is built on: that one stays as long as this one is there. */
  readonly parent: string | undefined;
  readonly place: Place | undefined;
}

export type Place =
  | { readonly kind: 'blob'; readonly digest: Digest }
  | { readonly kind: 'snapshot'; readonly snapshot: CommittedSnapshot }
  /** A directory that its user holds a flock on the file `lock` of. */
  | { readonly kind: 'locked'; readonly directory: string }
  /** `pin`: the digest that its users pin. */
  | { readonly kind: 'file'; readonly path: string; readonly pin: string | undefined };
