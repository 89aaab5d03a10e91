/** `du` and `prune`: what takes space in the state directory, and what of it goes. The code that does it is loaded when it is asked for. */
import type { PruneFilter } from '../collection/choose.ts';
import type { UsageEntry, UsageItem } from '../collection/usage-entry.ts';
import { TsbuildError } from '../errors.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';

export interface DiskUsage {
  readonly entries: readonly UsageEntry[];
  /** Bytes on the disk of all entries, of those that `prune --all` would remove, and of those that named images have, too. */
  readonly totalBytes: number;
  readonly reclaimableBytes: number;
  readonly sharedBytes: number;
}

export interface UsageOptions extends CommonOptions {
  /** What must be so of an entry. Throws USAGE where no type has such a name. */
  readonly filter?: PruneFilter | undefined;
}

export interface PruneOptions extends UsageOptions {
  /** Also what named images have, too: unpacked layers, and steps whose layers are in them. Never the images themselves. */
  readonly all?: boolean | undefined;
  /** Bytes of the cache that stay; what was used last stays. By default nothing has to stay. */
  readonly keepBytes?: number | undefined;
  /** Says what would go. */
  readonly dryRun?: boolean | undefined;
}

export interface PruneResult {
  /** In the order in which they went. */
  readonly removed: readonly UsageEntry[];
  readonly freedBytes: number;
}

/** The most recently used last. Measures what nobody has measured yet. */
export async function diskUsage(options: UsageOptions = {}): Promise<DiskUsage> {
  const { listUsage, matches, ageByClock } = await loadCollection(options.filter);
  await using session = await openSession(options);
  using turns = session.store.removalTurns();
  const age = ageByClock(Date.now());
  const all = await listUsage({ ...collectionOf(session), turns });
  const entries = all.filter((item) => matches(item, options.filter ?? {}, age)).sort((a, b) => a.usedAt - b.usedAt);
  const sum = (some: readonly UsageEntry[]): number => some.reduce((total, { bytes }) => total + bytes, 0);
  return {
    entries: entries.map(entryOf),
    totalBytes: sum(entries),
    reclaimableBytes: sum(entries.filter(({ reclaimable }) => reclaimable)),
    sharedBytes: sum(entries.filter(({ shared }) => shared)),
  };
}

/** Removes what no running command uses, beside builds that go on. */
export async function prune(options: PruneOptions = {}): Promise<PruneResult> {
  const { filter = {}, all = false, keepBytes } = options;
  const { listUsage, choose, removeItems, ageByClock } = await loadCollection(filter);
  await using session = await openSession(options);
  using turns = session.store.removalTurns();
  const collection = { ...collectionOf(session), turns };
  const chosen = choose(await listUsage(collection), { all, filter, keepBytes }, ageByClock(Date.now()));
  const removed = options.dryRun === true ? chosen : await removeItems(collection, chosen);
  return { removed: removed.map(entryOf), freedBytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function loadCollection(filter: PruneFilter = {}) {
  const [entries, list, rules, removal, ages] = await Promise.all([
    import('../collection/usage-entry.ts'),
    import('../collection/list-usage.ts'),
    import('../collection/choose.ts'),
    import('../collection/remove.ts'),
    import('../collection/age.ts'),
  ]);
  const known = [...entries.USAGE_KINDS, ...rules.FOREIGN_TYPES];
  const unknown = filter.type?.find((name) => !known.includes(name));
  if (unknown === undefined) return { ...list, ...rules, ...removal, ...ages };
  throw new TsbuildError('USAGE', `Cannot filter by the type ${JSON.stringify(unknown.slice(0, 100))}: there is none such`, {
    hint: `Types are ${entries.USAGE_KINDS.join(', ')}.`,
  });
}

function collectionOf(session: Session): Pick<Session, 'store' | 'cache' | 'signal'> {
  const { store, cache, signal } = session;
  return { store, cache, signal };
}

/** What the caller is told. */
function entryOf({ kind, id, description, bytes, createdAt, usedAt, usedBy, shared, inUse, reclaimable }: UsageItem): UsageEntry {
  return { kind, id, description, bytes, createdAt, usedAt, usedBy, shared, inUse, reclaimable };
}
