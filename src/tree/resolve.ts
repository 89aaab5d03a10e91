/** Paths that users and images write, resolved inside a tree's root as the kernel's RESOLVE_IN_ROOT does (openat2(2)). */
import { SyscallError, TsbuildError } from '../errors.ts';
import { type ByteString, display, join } from './byte-string.ts';
import type { FileNode, FileTree } from './file-tree.ts';

/** As many links as the kernel follows (path_resolution(7)). */
const LINKS_MAX = 40;
/** PATH_MAX and NAME_MAX (limits.h), in bytes: beyond them nobody could name what is there. */
const PATH_MAX = 4096;
const NAME_MAX = 255;

export interface Resolved {
  /** Clean path without a link in it (but for the last component where links are kept). */
  readonly path: ByteString;
  /** undefined where the last component, or a directory before it, is not there. */
  readonly node: FileNode | undefined;
}

/**
 * Follows every link in `path` within `tree`; `..` stops at the root. What is not there resolves to itself, so that the
 * result names the place to create. `last: 'keep'` does not follow a link at the end.
 * Throws PATH_ESCAPE for a loop of links, a SyscallError for what is too long to be a path.
 */
export function resolvePath(tree: FileTree, path: ByteString, last: 'follow' | 'keep'): Resolved {
  if (path.length >= PATH_MAX) throw tooLong(path);
  const todo = path.split('/').reverse() as ByteString[];
  let at = '' as ByteString;
  let links = 0;
  let isGone = false;
  while (todo.length > 0) {
    const name = todo.pop() as ByteString;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/'))) as ByteString;
      isGone = false;
      continue;
    }
    const next = join(at, name);
    if (name.length > NAME_MAX || next.length >= PATH_MAX) throw tooLong(path);
    // Below what is not there is nothing.
    const node: FileNode | undefined = isGone ? undefined : tree.stat(next);
    isGone = node === undefined;
    const isLast = todo.every((rest) => rest === '' || rest === '.');
    if (node?.type !== 'symlink' || (isLast && last === 'keep')) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) throw new TsbuildError('PATH_ESCAPE', `Cannot resolve ${display(path)}: too many symbolic links`);
    const target = node.linkTarget ?? ('' as ByteString);
    if (target.startsWith('/')) at = '' as ByteString;
    todo.push(...(target.split('/').reverse() as ByteString[]));
  }
  return { path: at, node: isGone ? undefined : tree.stat(at) };
}

function tooLong(path: ByteString): SyscallError {
  return new SyscallError('resolve', `${display(path.slice(0, 200) as ByteString)}...`, 'ENAMETOOLONG');
}
