/** Small JSON records in a directory, one file each: visible by rename, a miss where absent, torn or changed by the disk. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openSealedJson, sealedJson } from '../sealed-json.ts';
import { readIfThere } from '../sys/if-there.ts';
import { markUsed } from '../sys/use-mark.ts';

const KEY = /^[a-f0-9]{64}$/;

export interface RecordFiles<T> {
  get(key: string): T | undefined;
  set(key: string, value: T): void;
  /** All that are whole. */
  entries(): [key: string, value: T][];
  /** Notes that it was used. Absent is fine. */
  use(key: string): void;
  /** Absent is fine. */
  remove(key: string): void;
}

/**
 * Opens `directory/<key>`; every `key` must be 64 hex digits. Temporary files lie in `directory/.tmp`, named by the
 * process that writes them, so that the next opening removes what a killed one left.
 * A record that power loss tore reads as absent: it is only a cache.
 */
export function openRecordFiles<T>(directory: string, isRecord: (value: unknown) => value is T): RecordFiles<T> {
  const temporaryDirectory = path.join(directory, '.tmp');
  mkdirSync(temporaryDirectory, { recursive: true, mode: 0o700 });
  removeLeftovers(temporaryDirectory);
  const fileOf = (key: string) => {
    if (!KEY.test(key)) throw new Error(`Not a record key: ${key}`);
    return path.join(directory, key);
  };
  return {
    get: (key) => readRecord(fileOf(key), key, isRecord),
    set(key, value) {
      const temporary = path.join(temporaryDirectory, `${process.pid}-${randomBytes(8).toString('hex')}`);
      writeFileSync(temporary, sealedJson({ key, value }), { mode: 0o600, flag: 'wx' });
      renameSync(temporary, fileOf(key));
    },
    entries: () =>
      readdirSync(directory)
        .filter((key) => KEY.test(key))
        .flatMap((key): [string, T][] => {
          const value = readRecord(path.join(directory, key), key, isRecord);
          return value === undefined ? [] : [[key, value]];
        }),
    use(key) {
      const stat = statSync(fileOf(key), { throwIfNoEntry: false });
      if (stat !== undefined) markUsed(fileOf(key), stat);
    },
    remove: (key) => rmSync(fileOf(key), { force: true }),
  };
}

function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = name.split('-')[0] ?? '';
    if (!existsSync(`/proc/${pid}`)) rmSync(path.join(directory, name), { force: true });
  }
}

/** The key is part of the record, so that one that lies under the name of another is none. */
function readRecord<T>(file: string, key: string, isRecord: (value: unknown) => value is T): T | undefined {
  const text = readIfThere(file);
  const record = text === undefined ? undefined : openSealedJson(text);
  return record?.['key'] === key && isRecord(record['value']) ? record['value'] : undefined;
}
