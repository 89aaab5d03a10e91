/** The files of an image in which package managers keep their records: bounded, and looked up inside the image whatever links say. */
import { closeSync, readSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { type ByteString, fromText, join } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';

/** dpkg's status of a whole desktop has 5 MB, apk's list 2. */
export const RECORD_BYTES_MAX = 64 << 20;

/** Clean path of a regular file, links followed inside the tree; undefined where none is there, or the path cannot be followed. */
export function fileAt(tree: FileTree, path: ByteString): ByteString | undefined {
  const found = resolved(tree, path);
  return found?.node?.type === 'file' ? found.path : undefined;
}

export function directoryAt(tree: FileTree, path: string): ByteString | undefined {
  const found = resolved(tree, fromText(path));
  return found?.node?.type === 'directory' ? found.path : undefined;
}

function resolved(tree: FileTree, path: ByteString): ReturnType<typeof resolvePath> | undefined {
  try {
    return resolvePath(tree, path, 'follow');
  } catch (error) {
    // A loop of links, or a name that no kernel takes: whoever made it hides nothing that could be installed.
    if (error instanceof SyscallError || (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_PATH_ESCAPE')) return undefined;
    throw error;
  }
}

/** As UTF-8; undefined where there is no such file, or one of more than `maxBytes`. */
export function readRecord(tree: FileTree, path: string | ByteString, maxBytes = RECORD_BYTES_MAX): string | undefined {
  const file = fileAt(tree, typeof path === 'string' ? fromText(path) : path);
  const size = file === undefined ? undefined : tree.stat(file)?.size;
  if (file === undefined || size === undefined || size > maxBytes) return undefined;
  return readWhole(tree, file, size).toString('utf8');
}

/** `path` as it lies in the tree. */
export function readText(tree: FileTree, path: ByteString, maxBytes: number): string | undefined {
  const node = tree.stat(path);
  return node?.type === 'file' && node.size <= maxBytes ? readWhole(tree, path, node.size).toString('utf8') : undefined;
}

function readWhole(tree: FileTree, path: ByteString, size: number): Buffer {
  const fd = tree.open(path);
  try {
    const bytes = Buffer.alloc(size);
    let length = 0;
    while (length < size) {
      const count = readSync(fd, bytes, length, size - length, length);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** Paths of the entries of a directory, in byte order; none where it is not there. */
export function entriesOf(tree: FileTree, directory: string): ByteString[] {
  const path = directoryAt(tree, directory);
  return path === undefined ? [] : Array.from(tree.list(path), (name) => join(path, name));
}
