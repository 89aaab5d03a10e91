/** From what the kernel says of a name to a tree's FileNode. */
import type { ByteString } from '../tree/byte-string.ts';
import type { FileNode } from '../tree/file-tree.ts';
import { readLinkAt, type Stat } from './stat.ts';

/** The node of `name`, whose facts are `stat`; reads the target of a link. */
export function fileNodeAt(dir: number, name: ByteString, stat: Stat): FileNode {
  const { type, mode, uid, gid, mtimeNs, ctimeNs } = stat;
  const node = { type, mode, uid, gid, size: type === 'file' ? stat.size : 0, mtimeNs, ctimeNs };
  const inode = stat.nlink > 1 && type !== 'directory' ? { inode: `${stat.dev}:${stat.ino}` } : {};
  if (type === 'symlink') return { ...node, ...inode, linkTarget: readLinkAt(dir, name) };
  if (type !== 'char' && type !== 'block') return { ...node, ...inode };
  return { ...node, ...inode, device: { major: stat.rdevMajor, minor: stat.rdevMinor } };
}
