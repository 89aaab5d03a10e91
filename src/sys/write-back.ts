/** Asks the kernel to begin writing a file's dirty pages to the disk, so that a later fsync(2) finds little to do. Source: sync_file_range(2). */
import { invoke } from './errno.ts';
import { bind } from './libc.ts';

const SYNC_FILE_RANGE_WRITE = 2;

const syncFileRange = bind('int sync_file_range(int fd, int64_t offset, int64_t bytes, unsigned int flags)');

/** A hint: what the file system makes of it is its own affair, and promises nothing about what is on the disk. */
export function beginWriteBack(fd: number, offset: number, bytes: number): void {
  invoke(syncFileRange, fd, offset, bytes, SYNC_FILE_RANGE_WRITE);
}
