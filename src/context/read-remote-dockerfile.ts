/** The Dockerfile of a context that is no directory of this machine: in its tree, or the text that came in its place. */
import { closeSync, readFileSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { fromText } from '../tree/byte-string.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { resolvePath } from '../tree/resolve.ts';
import { DOCKERFILE_BYTES_MAX, type DockerfileText } from './read-dockerfile.ts';

/**
 * `file`: a path in the tree; undefined: `Dockerfile`, or `dockerfile` where that is absent. Links lead nowhere but to files of
 * the tree itself (as CVE-2022-4122 and CVE-2022-4123 in other builders did not see to). Throws DOCKERFILE_NOT_FOUND.
 */
export function readDockerfileIn(tree: FileTree, file: string | undefined): DockerfileText {
  const candidates = file === undefined ? ['Dockerfile', 'dockerfile'] : [file];
  for (const candidate of candidates) {
    const { path, node } = resolvePath(tree, fromText(candidate), 'follow');
    if (node === undefined) continue;
    if (node.type !== 'file') throw notFound(candidate, 'not a regular file');
    if (node.size > DOCKERFILE_BYTES_MAX) throw notFound(candidate, `larger than ${DOCKERFILE_BYTES_MAX} bytes`);
    const fd = tree.open(path);
    try {
      return { file: candidate, text: readFileSync(fd, 'utf8') };
    } finally {
      closeSync(fd);
    }
  }
  throw notFound(candidates[0] ?? '', 'it is not in the build context');
}

/** `name` is how messages call it. Throws DOCKERFILE_NOT_FOUND for what is too large, or no text. */
export function dockerfileText(name: string, { size, text }: { readonly size: number; text(): string }): DockerfileText {
  if (size > DOCKERFILE_BYTES_MAX) throw notFound(name, `larger than ${DOCKERFILE_BYTES_MAX} bytes, and no tar`);
  const content = text();
  if (content.includes('\0')) throw notFound(name, 'it is neither a tar nor a text');
  return { file: name, text: content };
}

function notFound(file: string, reason: string): TsbuildError {
  return new TsbuildError('DOCKERFILE_NOT_FOUND', `Cannot read ${file.slice(0, 300)}: ${reason}`);
}
