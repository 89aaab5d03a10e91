/** Copies file contents inside the kernel where it can: FICLONE, copy_file_range(2), else read and write; and their holes as holes. */
import { fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { errorCodeOf, TsbuildError } from '../errors.ts';
import type { ByteString } from '../tree/byte-string.ts';
import { dataRanges, seekTo } from './data-ranges.ts';
import { failure, failureByName, invoke } from './errno.ts';
import { bind } from './libc.ts';

const COPY_FILE_RANGE = process.arch === 'arm64' ? 285 : 326;
const FICLONE = 0x40049409;
const CHUNK_BYTES = 1 << 20;
const STAT_BLOCK_BYTES = 512;
const RANGE_BYTES = 1 << 30;
/** EPERM, EBADF (append), EXDEV, EINVAL, ETXTBSY, ENOSYS, EOPNOTSUPP: not these files; reading and writing says the rest. */
const NOT_IN_KERNEL = new Set([1, 9, 18, 22, 26, 38, 95]);

const ioctl = bind('int ioctl(int fd, unsigned long request, int source)');
const copyFileRange = bind('long syscall(long nr, int from, void *offset, int to, void *toOffset, size_t size, uint32_t flags)');

/**
 * Copies `size` bytes from the start of the regular file `from` to the empty file `to`; both descriptors stand at their
 * start, and where they stand after it is undefined. Throws CONTEXT_CHANGED where `from` ends early.
 */
export function copyRange(from: number, to: number, size: number): void {
  if (size === 0) return;
  const stat = fstatSync(from);
  if (stat.size < size) throw shortened();
  if (stat.size === size && invoke(ioctl, to, FICLONE, from) === 0) return;
  // copy_file_range(2) of most file systems writes the zeros of holes.
  if (stat.blocks * STAT_BLOCK_BYTES >= size) {
    copyData(from, to, size);
    return;
  }
  for (const [start, end] of dataRanges(from, size)) {
    for (const fd of [from, to]) seekTo(fd, start);
    copyData(from, to, end - start);
  }
  ftruncateSync(to, size);
}

/** From where `from` stands to where `to` does. */
function copyData(from: number, to: number, size: number): void {
  let left = size;
  while (left > 0) {
    const copied = invoke(copyFileRange, COPY_FILE_RANGE, from, null, to, null, Math.min(left, RANGE_BYTES), 0);
    if (NOT_IN_KERNEL.has(-copied)) {
      copyByHand(from, to, left);
      return;
    }
    if (copied < 0) throw failure('copy to', to, '' as ByteString, copied);
    if (copied === 0) throw shortened();
    left -= copied;
  }
}

/** Writes all of `bytes` at the descriptor's place, or at `position`. A full disk is NO_SPACE. */
export function writeFully(fd: number, bytes: Uint8Array, position: number | null = null): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at, bytes.length - at, position === null ? null : position + at);
    } catch (error) {
      const code = errorCodeOf(error);
      if (code === 'EINTR') continue;
      if (code === undefined) throw error;
      throw failureByName('write to', fd, code);
    }
  }
}

function copyByHand(from: number, to: number, size: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES));
  for (let left = size; left > 0; ) {
    const read = readSync(from, buffer, 0, Math.min(left, buffer.length), null);
    if (read === 0) throw shortened();
    writeFully(to, buffer.subarray(0, read));
    left -= read;
  }
}

function shortened(): TsbuildError {
  return new TsbuildError('CONTEXT_CHANGED', 'Cannot copy a file: it became shorter while it was read');
}
