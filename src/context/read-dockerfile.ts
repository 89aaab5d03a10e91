/** Finds and reads the Dockerfile of a build. Source: Docker's reference, `docker buildx build --file`. */
import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError } from '../errors.ts';

export interface DockerfileText {
  /** As messages name it. */
  readonly file: string;
  readonly text: string;
}

/** More than anybody writes, and as much as the parser reads in two seconds. */
const BYTES_MAX = 16 << 20;

/**
 * `file`: a path from the current directory; undefined: `Dockerfile` in the context, or `dockerfile` where that is absent.
 * Throws DOCKERFILE_NOT_FOUND, CONTEXT_NOT_FOUND.
 */
export function readDockerfile(contextDir: string, file: string | undefined): DockerfileText {
  const candidates = file === undefined ? ['Dockerfile', 'dockerfile'].map((name) => path.join(contextDir, name)) : [file];
  for (const candidate of candidates) {
    const text = readText(candidate);
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

/** undefined where nothing is there. */
function readText(file: string): string | undefined {
  let fd: number | undefined;
  try {
    // O_NONBLOCK: a fifo of this name must not hang the build.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new TsbuildError('DOCKERFILE_NOT_FOUND', `Cannot read ${file}: not a regular file`);
    if (stat.size > BYTES_MAX) throw new TsbuildError('DOCKERFILE_NOT_FOUND', `Cannot read ${file}: larger than ${BYTES_MAX} bytes`);
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if (error instanceof TsbuildError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new TsbuildError('DOCKERFILE_NOT_FOUND', `Cannot read ${file}: ${code}`, { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
