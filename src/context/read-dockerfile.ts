/** Finds and reads the Dockerfile of a build. Source: Docker's reference, `docker buildx build --file`. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError } from '../errors.ts';
import { readTextFile } from './read-text-file.ts';

export interface DockerfileText {
  /** As messages name it. */
  readonly file: string;
  readonly text: string;
}

/** More than anybody writes, and as much as the parser reads in two seconds. */
export const DOCKERFILE_BYTES_MAX = 16 << 20;

/**
 * `file`: a path from the current directory; undefined: `Dockerfile` in the context, or `dockerfile` where that is absent.
 * Throws DOCKERFILE_NOT_FOUND, CONTEXT_NOT_FOUND.
 */
export function readDockerfile(contextDir: string, file: string | undefined): DockerfileText {
  const candidates = file === undefined ? ['Dockerfile', 'dockerfile'].map((name) => path.join(contextDir, name)) : [file];
  for (const candidate of candidates) {
    const text = readTextFile(candidate, { contextDir, maxBytes: DOCKERFILE_BYTES_MAX, errorName: 'DOCKERFILE_NOT_FOUND' });
    if (text !== undefined) return { file: path.relative('.', candidate) || candidate, text };
  }
  if (!statSync(contextDir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot read the build context ${contextDir}: no such directory`, {
      hint: 'Name the directory to build, or a command: tsbuild --help lists them.',
    });
  }
  throw new TsbuildError('DOCKERFILE_NOT_FOUND', `Cannot find ${candidates[0]}: no such file`, {
    hint: 'Name the Dockerfile with -f, or run tsbuild with the directory that holds it.',
  });
}
