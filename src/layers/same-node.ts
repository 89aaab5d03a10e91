/** Whether two nodes would be the same entry of a layer. */
import type { FileNode, Xattrs } from '../tree/file-tree.ts';

/** All but content, ctime and inode. */
export function isSameNode(a: FileNode, b: FileNode): boolean {
  return (
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.linkTarget === b.linkTarget &&
    a.device?.major === b.device?.major &&
    a.device?.minor === b.device?.minor
  );
}

export function isSameXattrs(a: Xattrs, b: Xattrs): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key)?.equals(value) !== true) return false;
  return true;
}
