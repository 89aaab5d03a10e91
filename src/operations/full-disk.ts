/** A full disk is found at any of a thousand calls, most of which know no more than a descriptor: here it is said which disk. */
import { statfsSync } from 'node:fs';
import { errorCodeOf, firstError, TsbuildError } from '../errors.ts';
import { NO_SPACE_HINT } from '../store/no-space.ts';

/** Runs `work` on the state directory `root`: where the error is a full disk and names no place in it, the place and what is free are added. */
export async function namingFullDisk<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    // What is closed on a full disk fails, too.
    const error = firstError(thrown);
    throw isFullDisk(error) && !error.message.includes(root) ? placed(error, root) : thrown;
  }
}

function isFullDisk(error: unknown): error is Error {
  const code = errorCodeOf(error);
  return code === 'ERR_TSBUILD_NO_SPACE' || code === 'ENOSPC' || code === 'EDQUOT';
}

function placed(error: Error, root: string): TsbuildError {
  const { bavail, bsize, ffree } = statfsSync(root);
  const what = error instanceof TsbuildError ? error.message : `Cannot write a file: ${errorCodeOf(error)}`;
  const told = new TsbuildError('NO_SPACE', `${what} (in ${root} ${bavail * bsize} bytes and ${ffree} inodes are free)`, {
    hint: NO_SPACE_HINT,
    cause: error,
  });
  return error instanceof TsbuildError ? told.at(error.location) : told;
}
