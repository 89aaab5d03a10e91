import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCodeOf } from '../errors.ts';

/**
 * A directory, and those above it that are missing. Gives the first that it made, undefined where all were there. Not mkdir of node:fs with
 * `recursive`: that never comes back where the kernel makes no directories, as below /proc. Throws as mkdir(2) does.
 */
export function makeDirectories(path: string, mode = 0o777): string | undefined {
  try {
    return makeOne(path, mode);
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
  }
  const first = makeDirectories(dirname(path), mode);
  const own = makeOne(path, mode);
  return first ?? own;
}

function makeOne(path: string, mode: number): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    if (errorCodeOf(error) === 'EEXIST' && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
    throw error;
  }
}
