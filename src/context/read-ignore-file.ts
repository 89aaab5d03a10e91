/** Finds the ignore file of a build. Source: Docker's reference, ".dockerignore file", "Filename and location". */
import { type IgnoreRules, parseIgnoreFile } from './ignore-file.ts';
import { readTextFile, type TextFileOptions } from './read-text-file.ts';

/** More than any hand-written file; a file of gigabytes would be an attack or a mistake. */
const BYTES_MAX = 4 << 20;

/**
 * Rules of `<dockerfile>.dockerignore` if that is there, else of `<context>/.dockerignore`; undefined without either.
 * Both are paths of this machine. Throws CONTEXT_NOT_FOUND for a file that cannot be read.
 */
export function readIgnoreFile(contextDir: string, dockerfile: string | undefined): IgnoreRules | undefined {
  const options: TextFileOptions = { contextDir, maxBytes: BYTES_MAX, errorName: 'CONTEXT_NOT_FOUND' };
  const own = dockerfile === undefined ? undefined : readTextFile(`${dockerfile}.dockerignore`, options);
  if (own !== undefined) return parseIgnoreFile(own, `${dockerfile}.dockerignore`);
  const text = readTextFile(`${contextDir}/.dockerignore`, options);
  return text === undefined ? undefined : parseIgnoreFile(text);
}
