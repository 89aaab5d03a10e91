/**
 * A tree of files as it is read: a build context, a merged stack of snapshots, one directory.
 * Paths are relative to the tree's root, clean (no leading slash, no `.`, no `..`, '' is the root), and no component
 * but the last may be a symbolic link: `resolve.ts` turns anything a user writes into such a path.
 */
import type { ByteString } from './byte-string.ts';

export type FileType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** One inode's facts. All values are exact: nanoseconds as bigint, ids up to 2^32-2. */
export interface FileNode {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a regular file; 0 for everything else. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Target of a symlink, as stored. */
  readonly linkTarget?: ByteString;
  /** Of a char or block device. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** `dev:ino` where more than one name may lead to the inode (nlink > 1 and not a directory). */
  readonly inode?: string;
  /** Immutable or append-only, made so by a step: what no archive holds and no copy keeps. */
  readonly isFixed?: true;
}

export type Xattrs = ReadonlyMap<string, Buffer>;

export interface FileTree {
  /** The node at `path`, never following a link at its end; undefined where nothing is. */
  stat(path: ByteString): FileNode | undefined;
  /** Names in a directory in byte order, each looked at when it is asked for; reading them throws where `path` is no directory. */
  list(path: ByteString): Iterable<ByteString>;
  /** Extended attributes that belong in an image (no `trusted.overlay.*`, no `security.selinux`), by name. */
  xattrs(path: ByteString): Xattrs;
  /** Opens a regular file for reading and returns its file descriptor, which the caller closes. Never follows a link. */
  open(path: ByteString): number;
}

/** Whether the directory `path` holds nothing. */
export function isEmpty(tree: FileTree, path: ByteString): boolean {
  for (const _ of tree.list(path)) return false;
  return true;
}
