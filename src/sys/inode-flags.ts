/** What chattr(1) sets: ioctl_iflags(2). */
import { invoke } from './errno.ts';
import { bind } from './libc.ts';

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;

export const FS_IMMUTABLE_FL = 0x10;
export const FS_APPEND_FL = 0x20;
/** Of ext4 alone. */
export const EXT4_TOPDIR_FL = 0x20000;

const ioctl = bind('int ioctl(int fd, unsigned long request, _Inout_ uint32_t *flags)');

/** Sets and clears flags of a file or directory that is open for reading; whether it could. */
export function changeInodeFlags(fd: number, { set = 0, clear = 0 }: { readonly set?: number; readonly clear?: number }): boolean {
  const flags = new Uint32Array(1);
  if (invoke(ioctl, fd, FS_IOC_GETFLAGS, flags) < 0) return false;
  flags[0] = ((flags[0] ?? 0) & ~clear) | set;
  return invoke(ioctl, fd, FS_IOC_SETFLAGS, flags) === 0;
}
