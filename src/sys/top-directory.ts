/**
 * Directories in which each new directory gets a place of its own on the disk (EXT4_TOPDIR_FL; `T` of chattr(1)). Elsewhere ext4 makes
 * them where their parent is, and for minutes after many files were deleted there it looks at each of those again for every new one.
 */
import { closeSync } from 'node:fs';
import { fromText } from '../tree/byte-string.ts';
import { changeInodeFlags, EXT4_TOPDIR_FL } from './inode-flags.ts';
import { openDirectory } from './open.ts';

/** A hint: where the file system knows nothing of it, nothing happens. */
export function spreadDirectories(path: string): void {
  const fd = openDirectory(fromText(path));
  try {
    changeInodeFlags(fd, { set: EXT4_TOPDIR_FL });
  } finally {
    closeSync(fd);
  }
}
