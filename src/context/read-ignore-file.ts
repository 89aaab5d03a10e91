/** Finds the ignore file of a build. Source: Docker's reference, ".dockerignore file", "Filename and location". */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { type IgnoreRules, parseIgnoreFile } from './ignore-file.ts';

/** More than any hand-written file; a file of gigabytes would be an attack or a mistake. */
const BYTES_MAX = 4 << 20;

/**
 * Rules of `<dockerfile>.dockerignore` if that is there, else of `<context>/.dockerignore`; undefined without either.
 * Both are paths of this machine. Throws CONTEXT_NOT_FOUND for a file that cannot be read.
 */
export function readIgnoreFile(contextDir: string, dockerfile: string | undefined): IgnoreRules | undefined {
  const own = dockerfile === undefined ? undefined : readText(`${dockerfile}.dockerignore`);
  if (own !== undefined) return parseIgnoreFile(own, `${dockerfile}.dockerignore`);
  const text = readText(`${contextDir}/.dockerignore`);
  return text === undefined ? undefined : parseIgnoreFile(text);
}

function readText(file: string): string | undefined {
  let fd: number | undefined;
  try {
    // O_NONBLOCK: a fifo of this name must not hang the build.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > BYTES_MAX) {
      throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot use ${file}: not a regular file of at most ${BYTES_MAX} bytes`);
    }
    return readFileSync(fd, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (error instanceof TsbuildError) throw error;
    throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot read ${file}: ${code}`, { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
