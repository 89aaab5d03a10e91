/**
 * Directories in which each new directory gets a place of its own on the disk (EXT4_TOPDIR_FL; `T` of chattr(1)). Elsewhere ext4 makes
 * them where their parent is, and for minutes after many files were deleted there it looks at each of those again for every new one.
 */
import { closeSync } from 'node:fs';
import { fromText } from '../tree/byte-string.ts';
import { invoke } from './errno.ts';
import { bind } from './libc.ts';
import { openDirectory } from './open.ts';

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const EXT4_TOPDIR_FL = 0x20000;

const ioctl = bind('int ioctl(int fd, unsigned long request, _Inout_ uint32_t *flags)');

/** A hint: where the file system knows nothing of it, nothing happens. */
export function spreadDirectories(path: string): void {
  const fd = openDirectory(fromText(path));
  try {
    const flags = new Uint32Array(1);
    if (invoke(ioctl, fd, FS_IOC_GETFLAGS, flags) < 0) return;
    flags[0] = (flags[0] ?? 0) | EXT4_TOPDIR_FL;
    invoke(ioctl, fd, FS_IOC_SETFLAGS, flags);
  } finally {
    closeSync(fd);
  }
}
