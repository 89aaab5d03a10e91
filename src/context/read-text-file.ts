/** A small file that a build reads for itself: a Dockerfile, an ignore file. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { type ErrorName, TsbuildError } from '../errors.ts';

export interface TextFileOptions {
  /** Of the build; a file that lies in it may be a link, but not to what lies outside. */
  readonly contextDir: string;
  readonly maxBytes: number;
  readonly errorName: ErrorName;
}

/**
 * undefined where nothing is there. Whoever wrote a context may not have what else this machine has, and errors quote
 * what they are about: so a link out of the context is refused (as CVE-2022-4122 and CVE-2022-4123 in other builders).
 */
export function readTextFile(file: string, { contextDir, maxBytes, errorName }: TextFileOptions): string | undefined {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new TsbuildError(errorName, `Cannot read ${file}: ${reason}`, { cause });
  };
  let fd: number | undefined;
  try {
    // O_NONBLOCK: a fifo of this name must not hang the build.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (!stat.isFile()) refuse('not a regular file');
    if (stat.size > maxBytes) refuse(`larger than ${maxBytes} bytes`);
    if (isWithin(contextDir, file) && !isWithin(realpathSync(contextDir), readlinkSync(`/proc/self/fd/${fd}`)))
      refuse('a link in its path leads out of the build context');
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if (error instanceof TsbuildError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return refuse(String(code), error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function isWithin(directory: string, file: string): boolean {
  const below = path.relative(directory, file);
  return below !== '..' && !below.startsWith('../');
}
