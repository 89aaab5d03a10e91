/** From what the kernel says of a name to a tree's FileNode. */
import type { ByteString } from '../tree/byte-string.ts';
import type { FileNode } from '../tree/file-tree.ts';
import { recordedDevice, recordedOwner } from './recorded-facts.ts';
import { readLinkAt, type Stat } from './stat.ts';

/** The node of `name`, whose facts are `stat`; reads the target of a link, and what a stand-in stands for. */
export function fileNodeAt(dir: number, name: ByteString, stat: Stat): FileNode {
  const { mode, mtimeNs, ctimeNs } = stat;
  const device = recordedDevice(dir, name, stat);
  const type = device?.type ?? stat.type;
  const { uid, gid } = recordedOwner(dir, name, stat.type) ?? stat;
  const fixed = stat.isFixed ? { isFixed: true as const } : {};
  const node = { type, mode, uid, gid, size: type === 'file' ? stat.size : 0, mtimeNs, ctimeNs, ...fixed };
  const inode = stat.nlink > 1 && type !== 'directory' ? { inode: `${stat.dev}:${stat.ino}` } : {};
  if (type === 'symlink') return { ...node, ...inode, linkTarget: readLinkAt(dir, name) };
  if (type !== 'char' && type !== 'block') return { ...node, ...inode };
  const { major, minor } = device ?? { major: stat.rdevMajor, minor: stat.rdevMinor };
  return { ...node, ...inode, device: { major, minor } };
}
