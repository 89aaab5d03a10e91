/** Which items go, and in which order. Pure: the same items and the same ages, the same choice. */
import type { Age } from './age.ts';
import type { UsageEntry, UsageItem, UsageKind } from './usage-entry.ts';

/** What must be so of an item; all of it. */
export interface PruneFilter {
  readonly type?: readonly string[] | undefined;
  /** The beginning of an id, or what the Dockerfile calls a cache mount. */
  readonly id?: readonly string[] | undefined;
  /** Part of the description. */
  readonly description?: readonly string[] | undefined;
  readonly shared?: boolean | undefined;
  readonly inUse?: boolean | undefined;
  /** Milliseconds that it has not been used for. */
  readonly unusedForMs?: number | undefined;
}

export interface Rule {
  /** What named images have, too. */
  readonly all: boolean;
  readonly filter: PruneFilter;
  /** Bytes of the cache that stay: the least recently used go first. Undefined: everything that fits goes. */
  readonly keepBytes: number | undefined;
}

/** What users call the types of `docker buildx du`. */
const TYPES: ReadonlyMap<string, readonly string[]> = new Map([
  ['regular', ['step', 'layer', 'image-layer', 'blob', 'snapshot']],
  ['exec.cachemount', ['cache-mount']],
  ['source.local', ['context-copy', 'context-index']],
  ['source.git.checkout', ['git-checkout', 'git-repository']],
  ['internal', ['records']],
]);

export const FOREIGN_TYPES: readonly string[] = [...TYPES.keys()];

export function matches(entry: UsageEntry, filter: PruneFilter, age: Age): boolean {
  const { type, id, description, shared, inUse, unusedForMs } = filter;
  if (type !== undefined && !type.some((name) => (TYPES.get(name) ?? [name]).includes(entry.kind))) return false;
  if (id !== undefined && !id.some((one) => hasId(entry, one))) return false;
  if (description !== undefined && !description.some((part) => entry.description.includes(part))) return false;
  if (shared !== undefined && entry.shared !== shared) return false;
  if (inUse !== undefined && entry.inUse !== inUse) return false;
  return unusedForMs === undefined || age(entry.usedAt) >= unusedForMs;
}

/** Two digits could be anything's. */
const ID_CHARACTERS_MIN = 4;

function hasId({ kind, id, description }: UsageEntry, wanted: string): boolean {
  if (kind === 'cache-mount' && description === wanted) return true;
  const bare = id.replace(/^sha256:/, '');
  const digits = wanted.replace(/^sha256:/, '');
  return id === wanted || (digits.length >= ID_CHARACTERS_MIN && bare.startsWith(digits));
}

const NEVER_PRUNED: ReadonlySet<UsageKind> = new Set(['image', 'records', 'unfinished', 'container'] as const);

/** Bytes that a budget is about: what could go, sooner or later. */
export function cacheBytes(items: readonly UsageEntry[]): number {
  return items.reduce((sum, { kind, bytes }) => sum + (NEVER_PRUNED.has(kind) ? 0 : bytes), 0);
}

/** The least recently used first, and nothing before what is built on it. What has to stay keeps what it is built on. */
export function choose(items: readonly UsageItem[], { all, filter, keepBytes }: Rule, age: Age): UsageItem[] {
  const children = countChildren(items);
  const chosen: UsageItem[] = [];
  let kept = cacheBytes(items);
  for (const item of leastRecentlyUsed(items)) {
    if (keepBytes !== undefined && kept <= keepBytes) break;
    if (!item.reclaimable || (item.shared && !all) || (children.get(item.key) ?? 0) > 0 || !matches(item, filter, age)) continue;
    chosen.push(item);
    kept -= item.bytes;
    if (item.parent !== undefined) children.set(item.parent, (children.get(item.parent) ?? 1) - 1);
  }
  return chosen;
}

function countChildren(items: readonly UsageItem[]): Map<string, number> {
  const children = new Map<string, number>();
  for (const { parent } of items) if (parent !== undefined) children.set(parent, (children.get(parent) ?? 0) + 1);
  return children;
}

/** What others are built on was used when they were; and comes after them. */
function leastRecentlyUsed(items: readonly UsageItem[]): UsageItem[] {
  const byKey = new Map(items.map((item) => [item.key, item]));
  const used = new Map(items.map(({ key, usedAt }) => [key, usedAt]));
  const depths = new Map<string, number>();
  const depthOf = (item: UsageItem): number => {
    const way: UsageItem[] = [];
    for (let at: UsageItem | undefined = item; at !== undefined && !depths.has(at.key); at = byKey.get(at.parent ?? '')) way.push(at);
    for (const at of way.reverse()) depths.set(at.key, (depths.get(at.parent ?? '') ?? -1) + 1);
    return depths.get(item.key) ?? 0;
  };
  const deepest = [...items].sort((a, b) => depthOf(b) - depthOf(a));
  for (const { key, parent } of deepest) {
    if (parent !== undefined) used.set(parent, Math.max(used.get(parent) ?? 0, used.get(key) ?? 0));
  }
  const place = new Map(deepest.map(({ key }, index) => [key, index]));
  return deepest.toSorted((a, b) => (used.get(a.key) ?? 0) - (used.get(b.key) ?? 0) || (place.get(a.key) ?? 0) - (place.get(b.key) ?? 0));
}
