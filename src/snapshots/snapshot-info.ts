/** What is written beside a snapshot's files: `info.json`. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** One layer's files, unpacked or left by a step. */
export interface Snapshot {
  readonly name: string;
  readonly id: string;
  readonly parent: string | undefined;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface SnapshotInfo {
  readonly name: string;
  readonly parent: string | undefined;
  readonly createdAt: string;
  /** Of the boot that wrote the files: a crash of the machine may have lost parts of them unless they were synced. */
  readonly bootId: string;
  readonly synced: boolean;
}

const FILE = 'info.json';

/** Undefined where the file is missing or was torn by a crash: then the snapshot does not count. */
export function readSnapshotInfo(directory: string): SnapshotInfo | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, FILE), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  return parseInfo(text);
}

export function writeSnapshotInfo(directory: string, info: SnapshotInfo): void {
  const temporary = join(directory, `${FILE}.new`);
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeSync(fd, JSON.stringify(info));
    if (info.synced) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, join(directory, FILE));
}

function parseInfo(text: string): SnapshotInfo | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // SyntaxError: torn
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, parent, createdAt, bootId, synced } = value as Record<string, unknown>;
  if (typeof name !== 'string' || typeof createdAt !== 'string' || typeof bootId !== 'string') return undefined;
  if (parent !== undefined && typeof parent !== 'string') return undefined;
  return { name, parent, createdAt, bootId, synced: synced === true };
}
