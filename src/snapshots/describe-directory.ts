import { closeSync } from 'node:fs';
import { fileNodeAt } from '../sys/file-node.ts';
import { setModeAt, setOwnerAt, setTimesAt } from '../sys/metadata.ts';
import { openDirectory } from '../sys/open.ts';
import { statAt } from '../sys/stat.ts';
import { imageXattrsAt, setXattrAt } from '../sys/xattr.ts';
import type { ByteString } from '../tree/byte-string.ts';
import type { FileNode, Xattrs } from '../tree/file-tree.ts';

const ROOT = '' as ByteString;

/** Makes a directory what the facts say; when its entries are there, since they change its times. */
export function describeDirectory(
  fd: number,
  { node, xattrs }: { readonly node: Pick<FileNode, 'uid' | 'gid' | 'mode' | 'mtimeNs'>; readonly xattrs: Xattrs },
): void {
  setOwnerAt(fd, ROOT, node.uid, node.gid);
  setModeAt(fd, ROOT, node.mode);
  for (const [key, value] of xattrs) setXattrAt(fd, ROOT, key, value);
  setTimesAt(fd, ROOT, node.mtimeNs);
}

/** As another directory is. */
export function describeLike(fd: number, other: ByteString): void {
  const from = openDirectory(other);
  try {
    const stat = statAt(from, ROOT);
    if (stat === undefined) throw new Error('An open directory has facts');
    describeDirectory(fd, { node: fileNodeAt(from, ROOT, stat), xattrs: imageXattrsAt(from, ROOT) });
  } finally {
    closeSync(from);
  }
}
