/**
 * Digests of files by what stat says of them, so that an unchanged context is not read again.
 * A file is trusted when its size, mtime and ctime are those of the read, and the read came well after the ctime: a
 * file written again within one clock tick of the read could look the same (the "racy git" problem).
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { openRecordFiles, type RecordFiles } from './record-files.ts';
import { PAGE_SIZE, type PageRow, type StatEntry, StatPages } from './stat-pages.ts';

/** What must be equal for a digest to be used again. */
export interface FileStamp {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export interface StatIndex {
  get(file: string, stamp: FileStamp): string | undefined;
  /** `readAtMs`: when reading the file began, as Date.now() tells it. */
  set(file: string, stamp: FileStamp, digest: string, readAtMs: number): void;
  /** Writes the index where it changed: only what was asked for or set since it was opened stays in it. */
  save(): void;
}

/** Coarser than the tick of any clock that the kernel stamps files with. */
const TICK_MS = 20;

/** The index of one directory, named by its absolute path, in the state directory `root`. */
export function openStatIndex(root: string, directory: string): StatIndex {
  const records: RecordFiles<readonly (StatEntry | PageRow)[]> = openRecordFiles(path.join(root, 'cache', 'contexts'), isRows);
  const key = createHash('sha256').update(`pages of ${directory}`).digest('hex');
  let saved: readonly PageRow[] = records.get(key) ?? [];
  const pages = new StatPages(records, directory, saved);
  /** No page yet, of different files. */
  const fresh = new Map<string, StatEntry>();
  let changed = false;
  const addPage = (): void => {
    if (fresh.size > 0) pages.add([...fresh.values()]);
    fresh.clear();
  };
  const add = (entry: StatEntry): void => {
    fresh.set(entry[0], entry);
    if (fresh.size === PAGE_SIZE) addPage();
  };
  return {
    get(file, stamp) {
      const text = stampText(stamp);
      const entry = fresh.get(file);
      return (entry?.[1] === text ? entry : pages.find(file, text))?.[2];
    },
    set(file, stamp, digest, readAtMs) {
      changed = true;
      if (Number(stamp.ctimeNs / 1_000_000n) + TICK_MS < readAtMs) add([file, stampText(stamp), digest]);
    },
    save() {
      for (const used of [key, ...pages.used()]) records.use(used);
      if (!changed) return;
      changed = false;
      for (const entry of pages.takeUnfit()) if (!fresh.has(entry[0])) add(entry);
      addPage();
      const rows = pages.rows();
      records.set(key, rows);
      const kept = new Set(rows.map(([, , page]) => page));
      for (const [, , page] of saved) if (!kept.has(page)) records.remove(page);
      saved = rows;
    },
  };
}

function stampText({ size, mtimeNs, ctimeNs }: FileStamp): string {
  // One string: a template keeps its parts, several times as many bytes.
  return [size, mtimeNs, ctimeNs].join(' ');
}

function isRows(value: unknown): value is readonly (StatEntry | PageRow)[] {
  return (
    Array.isArray(value) && value.every((row) => Array.isArray(row) && row.length === 3 && row.every((cell) => typeof cell === 'string'))
  );
}
