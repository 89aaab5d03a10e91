/** A full disk becomes an error that says where, how much was needed and how much is left. */
import { statfsSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { isCode } from './error-code.ts';

export const NO_SPACE_HINT = 'Free some space, remove images with tsbuild rmi, or name a directory on another disk with --root.';

/** Runs `work`; ENOSPC and EDQUOT become NO_SPACE. `need` is in bytes, of what could not be written. */
export async function orNoSpace<T>(directory: string, need: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isCode(cause, 'ENOSPC') && !isCode(cause, 'EDQUOT')) throw cause;
    const { bavail, bsize, files, ffree } = statfsSync(directory);
    const reason = isCode(cause, 'EDQUOT')
      ? 'the disk quota is used up'
      : files > 0 && ffree === 0
        ? 'no inode is left'
        : 'the disk is full';
    throw new TsbuildError('NO_SPACE', `Cannot write to ${directory}: ${reason} (need ${need} bytes, free ${bavail * bsize} bytes)`, {
      hint: NO_SPACE_HINT,
      cause,
    });
  }
}
