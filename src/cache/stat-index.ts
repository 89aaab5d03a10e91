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

type Entry = readonly [file: string, stamp: string, digest: string];
type IndexRecord = readonly Entry[];

/** Of one record: as text and as values, it is in memory several times. */
const FILES_MAX = 5000;

/** The index of one directory, named by its absolute path, in the state directory `root`. */
export function openStatIndex(root: string, directory: string): StatIndex {
  const records: RecordFiles<IndexRecord> = openRecordFiles(path.join(root, 'cache', 'contexts'), isIndexRecord);
  const known = readEntries(records, directory);
  const used = new Map<string, Entry>();
  let changed = false;
  return {
    get(file, stamp) {
      const entry = used.get(file) ?? known.get(file);
      if (entry === undefined || entry[1] !== stampText(stamp)) return undefined;
      used.set(file, entry);
      return entry[2];
    },
    set(file, stamp, digest, readAtMs) {
      changed = true;
      if (Number(stamp.ctimeNs / 1_000_000n) + TICK_MS < readAtMs) used.set(file, [file, stampText(stamp), digest]);
    },
    save() {
      if (changed) writeEntries(records, directory, used.values());
      changed = false;
    },
  };
}

/** The records of a directory are numbered, and there is one at least. */
function keyOf(directory: string, number: number): string {
  return createHash('sha256')
    .update(number === 0 ? directory : `${directory}\0${number}`)
    .digest('hex');
}

function readEntries(records: RecordFiles<IndexRecord>, directory: string): Map<string, Entry> {
  const known = new Map<string, Entry>();
  for (let number = 0; ; number++) {
    const record = records.get(keyOf(directory, number));
    if (record === undefined) return known;
    for (const entry of record) known.set(entry[0], entry);
  }
}

function writeEntries(records: RecordFiles<IndexRecord>, directory: string, entries: Iterable<Entry>): void {
  let some: Entry[] = [];
  let number = 0;
  for (const entry of entries) {
    if (some.length === FILES_MAX) {
      records.set(keyOf(directory, number++), some);
      some = [];
    }
    some.push(entry);
  }
  records.set(keyOf(directory, number++), some);
  for (; records.get(keyOf(directory, number)) !== undefined; number++) records.remove(keyOf(directory, number));
}

function stampText({ size, mtimeNs, ctimeNs }: FileStamp): string {
  // One string: a template keeps its parts, several times as many bytes.
  return [size, mtimeNs, ctimeNs].join(' ');
}

function isIndexRecord(value: unknown): value is IndexRecord {
  return (
    Array.isArray(value) && value.every((row) => Array.isArray(row) && row.length === 3 && row.every((cell) => typeof cell === 'string'))
  );
}
