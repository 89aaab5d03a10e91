/** Files that others may have removed: undefined where nothing has the name. Throws as open(2) and read(2) do for all else. */
import { openSync, readFileSync, unlinkSync } from 'node:fs';
import { errorCodeOf } from '../errors.ts';

export function readIfThere(path: string): string | undefined {
  return ifThere(() => readFileSync(path, 'utf8'));
}

/** `flags` as of open(2). */
export function openIfThere(path: string, flags: number | 'r'): number | undefined {
  return ifThere(() => openSync(path, flags));
}

/** Not `rmSync` with `force`: that loads a module of Node that removes trees. */
export function removeIfThere(path: string): void {
  ifThere(() => unlinkSync(path));
}

function ifThere<T>(use: () => T): T | undefined {
  try {
    return use();
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
