/** Keeps the state directory within a budget, after builds. What decides that nothing is to be done is a few system calls. */
import { closeSync, constants, mkdirSync, openSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { milliseconds } from '../clock.ts';
import { noteDay } from '../collection/age.ts';
import { budgetOf, type Estimate, isDue } from '../collection/estimate.ts';
import type { UsageEntry } from '../collection/usage-entry.ts';
import { defaultRoot } from '../default-root.ts';
import { TsbuildError } from '../errors.ts';
import { type CommonOptions, openSession } from '../session.ts';
import { lockFile } from '../sys/lock.ts';

export interface UpkeepOptions extends Pick<CommonOptions, 'root' | 'signal'> {
  /** By default `$TSBUILD_GC`, else `auto`. */
  readonly collect?: 'auto' | 'off' | undefined;
  /** Bytes of the cache that stay; by default `$TSBUILD_KEEP_STORAGE`, else a tenth of the disk and at least 2 GiB. */
  readonly keepBytes?: number | undefined;
}

export interface Upkeep {
  /** Removes what the budget has no room for, in a few seconds at most; undefined where it did not look. */
  run(): Promise<{ readonly removed: readonly UsageEntry[]; readonly freedBytes: number } | undefined>;
}

/** Less than this is what a build writes that finds everything. */
const NOTICED_BYTES = 1 << 20;
const MEASURING_MS = 2000;
const WORKING_MS = 4000;

/** Opened before a build, and run when its result is out. Throws USAGE for variables that say nothing. */
export function openUpkeep({ root = defaultRoot(), signal, collect, keepBytes }: UpkeepOptions = {}): Upkeep {
  if (choiceOf(collect) === 'off') return { run: async () => undefined };
  const directory = path.resolve(root);
  const before = diskOf(directory);
  const budget = keepBytes ?? budgetOf(process.env['TSBUILD_KEEP_STORAGE'], before?.bytes ?? 0);
  return {
    async run() {
      const after = diskOf(directory);
      // A new state directory holds one build.
      if (before === undefined || after === undefined || before.free - after.free < NOTICED_BYTES) return undefined;
      const now = Date.now();
      const last = readEstimate(directory) ?? { bytes: before.bytes - before.free, measuredAt: now, days: [] };
      const estimate: Estimate = { ...last, bytes: last.bytes + before.free - after.free, days: noteDay(last.days, now) };
      writeEstimate(directory, estimate);
      return isDue(estimate, budget, now) ? await collectNow({ root: directory, budget, days: estimate.days }, signal) : undefined;
    },
  };
}

function choiceOf(chosen = process.env['TSBUILD_GC'] || 'auto'): 'auto' | 'off' {
  if (chosen === 'auto' || chosen === 'off') return chosen;
  throw new TsbuildError('USAGE', `Cannot collect as ${JSON.stringify(chosen.slice(0, 100))} says: TSBUILD_GC is auto or off`);
}

interface Due extends Pick<Estimate, 'days'> {
  readonly root: string;
  readonly budget: number;
}

/** One process at a time; the others have nothing to add. */
async function collectNow({ root, budget, days }: Due, signal: AbortSignal | undefined): ReturnType<Upkeep['run']> {
  const [{ ageByDays }, { chooseByBudget }, { cacheBytes }, { listUsage }, { removeItems }, { settleUses }] = await Promise.all([
    import('../collection/age.ts'),
    import('../collection/budget.ts'),
    import('../collection/choose.ts'),
    import('../collection/list-usage.ts'),
    import('../collection/remove.ts'),
    import('../collection/settle-uses.ts'),
  ]);
  const lock = openSync(path.join(root, 'cache', 'collecting'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (!lockFile(lock, 'exclusive')) return undefined;
    await using session = await openSession({ root, signal });
    using turns = session.store.removalTurns();
    const { store, cache } = session;
    const collection = { store, cache, turns, signal: session.signal };
    const start = milliseconds();
    const now = Date.now();
    const items = settleUses(await listUsage(collection, start + MEASURING_MS), store.unpinned.content, now);
    const removed = await removeItems(collection, chooseByBudget(items, budget, ageByDays(days, now)), start + WORKING_MS);
    const isDone = milliseconds() < start + MEASURING_MS;
    // What was not looked at the next build looks at.
    writeEstimate(root, { bytes: cacheBytes(items) - cacheBytes(removed), measuredAt: isDone ? now : 0, days });
    return { removed, freedBytes: cacheBytes(removed) };
  } finally {
    closeSync(lock);
  }
}

/** undefined where there is no state directory. */
function diskOf(directory: string): { readonly bytes: number; readonly free: number } | undefined {
  try {
    const { blocks, bfree, bsize } = statfsSync(directory);
    return { bytes: blocks * bsize, free: bfree * bsize };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A torn one is none. */
function readEstimate(root: string): Estimate | undefined {
  try {
    const { bytes, measuredAt, days = [] } = JSON.parse(readFileSync(path.join(root, 'cache', 'estimate'), 'utf8')) as Partial<Estimate>;
    const isWhole = Array.isArray(days) && [bytes, measuredAt, ...days].every((value) => typeof value === 'number');
    return isWhole ? ({ bytes, measuredAt, days } as Estimate) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function writeEstimate(root: string, estimate: Estimate): void {
  const file = path.join(root, 'cache', 'estimate');
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  // In place: a torn one is none.
  writeFileSync(file, JSON.stringify(estimate), { mode: 0o600 });
}
