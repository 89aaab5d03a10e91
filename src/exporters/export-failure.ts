import { TsbuildError } from '../errors.ts';

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'Make the directory that it is to lie in first.'],
  ['EISDIR', 'It is a directory: name a file in it, or give tar=false.'],
  ['ENOTDIR', 'A part of the path is no directory.'],
  ['EACCES', 'Choose a place that you may write to.'],
  ['EROFS', 'Choose a place that can be written to.'],
]);

/** What the file system refused, as EXPORT_FAILED; everything else, a full disk among it, as it is. */
export function exportFailure(error: unknown, path: string): unknown {
  if (error instanceof TsbuildError && error.code !== 'ERR_TSBUILD_SYSCALL_FAILED') return error;
  const { code, errno } = error as { code?: unknown; errno?: unknown };
  const name = typeof errno === 'string' ? errno : String(code);
  if (!/^E[A-Z0-9]+$/.test(name) || name === 'ENOSPC' || name === 'EDQUOT') return error;
  return new TsbuildError('EXPORT_FAILED', `Cannot write the output ${path}: ${name}`, { hint: ADVICE.get(name), cause: error });
}
