/** The wildcards of `COPY --parents`: those of ignore files, `**` included. Source: Dockerfile reference, "COPY --parents". */
import { type ByteString, join, toText } from '../tree/byte-string.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { cleanPath } from './go-pattern.ts';
import { compilePathPattern } from './path-pattern.ts';

/**
 * What `pattern` matches below the directory `base`, relative to it, in byte order; what is inside a match is not listed again.
 * Links are not followed. Throws DOCKERFILE_SYNTAX for a malformed pattern.
 */
export function matchBelow(tree: FileTree, base: ByteString, pattern: string): ByteString[] {
  const compiled = compilePathPattern(cleanPath(`/${pattern}`).slice(1), `the source ${JSON.stringify(pattern.slice(0, 200))}`);
  const found: ByteString[] = [];
  const walk = (dir: ByteString): void => {
    for (const name of tree.list(dir === '' ? base : join(base, dir))) {
      const path = join(dir, name);
      if (compiled.matches(toText(path))) found.push(path);
      else if (compiled.mayMatchInside(toText(path)) && tree.stat(join(base, path))?.type === 'directory') walk(path);
    }
  };
  walk('' as ByteString);
  return found;
}
