/** Small JSON records in a directory, one file each: visible by rename, a miss where torn or absent. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface RecordFiles<T> {
  get(key: string): T | undefined;
  set(key: string, value: T): void;
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
    if (!/^[a-f0-9]{64}$/.test(key)) throw new Error(`Not a record key: ${key}`);
    return path.join(directory, key);
  };
  return {
    get: (key) => readRecord(fileOf(key), isRecord),
    set(key, value) {
      const temporary = path.join(temporaryDirectory, `${process.pid}-${randomBytes(8).toString('hex')}`);
      writeFileSync(temporary, JSON.stringify(value), { mode: 0o600, flag: 'wx' });
      renameSync(temporary, fileOf(key));
    },
  };
}

function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = name.split('-')[0] ?? '';
    if (!existsSync(`/proc/${pid}`)) rmSync(path.join(directory, name), { force: true });
  }
}

function readRecord<T>(file: string, isRecord: (value: unknown) => value is T): T | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
