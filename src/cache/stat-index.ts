/**
 * Digests of files by what stat says of them, so that an unchanged context is not read again.
 * A file is trusted when its size, mtime and ctime are those of the read, and the read came well after the ctime: a
 * file written again within one clock tick of the read could look the same (the "racy git" problem).
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { openRecordFiles, type RecordFiles } from './record-files.ts';

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

type Entry = readonly [stamp: string, digest: string];
type IndexRecord = readonly (readonly [file: string, stamp: string, digest: string])[];

/** The index of one directory, named by its absolute path, in the state directory `root`. */
export function openStatIndex(root: string, directory: string): StatIndex {
  const records: RecordFiles<IndexRecord> = openRecordFiles(path.join(root, 'cache', 'contexts'), isIndexRecord);
  const key = createHash('sha256').update(directory).digest('hex');
  const known = new Map<string, Entry>((records.get(key) ?? []).map(([file, stamp, digest]) => [file, [stamp, digest]]));
  const used = new Map<string, Entry>();
  let changed = false;
  return {
    get(file, stamp) {
      const entry = used.get(file) ?? known.get(file);
      if (entry === undefined || entry[0] !== stampText(stamp)) return undefined;
      used.set(file, entry);
      return entry[1];
    },
    set(file, stamp, digest, readAtMs) {
      changed = true;
      if (Number(stamp.ctimeNs / 1_000_000n) + TICK_MS < readAtMs) used.set(file, [stampText(stamp), digest]);
    },
    save() {
      if (changed)
        records.set(
          key,
          [...used].map(([file, [stamp, digest]]) => [file, stamp, digest]),
        );
      changed = false;
    },
  };
}

function stampText({ size, mtimeNs, ctimeNs }: FileStamp): string {
  return `${size} ${mtimeNs} ${ctimeNs}`;
}

function isIndexRecord(value: unknown): value is IndexRecord {
  return (
    Array.isArray(value) && value.every((row) => Array.isArray(row) && row.length === 3 && row.every((cell) => typeof cell === 'string'))
  );
}
