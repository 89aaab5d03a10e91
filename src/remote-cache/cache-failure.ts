import { TsbuildError } from '../errors.ts';

/** What a file system or a server says, as an error about the cache at `place`. Ours pass as they are. */
export function cacheFailure(error: unknown, place: string): unknown {
  if (error instanceof TsbuildError || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new TsbuildError('NO_SPACE', `Cannot write the cache ${place}: ${code}`, { cause: error });
  return new TsbuildError('CACHE_FAILED', `Cannot use the cache ${place}: ${code}`, { cause: error });
}
