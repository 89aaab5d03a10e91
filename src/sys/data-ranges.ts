/** Where a file has data, and where holes (lseek(2)). */
import type { ByteString } from '../tree/byte-string.ts';
import { failure, invoke } from './errno.ts';
import { bind } from './libc.ts';

const lseek = bind('int64_t lseek(int fd, int64_t offset, int whence)');
const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** EINVAL: a file system that cannot tell. ENXIO: no more data. */
const EINVAL = -22;
const ENXIO = -6;

/** From the first byte, inclusive, to the last, exclusive, below `size`. Moves the descriptor. Where nothing can be told, all is data. */
export function* dataRanges(fd: number, size: number): Generator<readonly [start: number, end: number]> {
  for (let at = 0; at < size; ) {
    const start = seek(fd, at, SEEK_DATA);
    if (start === EINVAL) return yield [at, size];
    if (start === ENXIO || start >= size) return;
    const hole = seek(fd, start, SEEK_HOLE);
    // A file that became shorter meanwhile: whoever reads to `size` notices.
    at = hole <= start ? size : Math.min(size, hole);
    yield [start, at];
  }
}

/** To a place that both are to be at. */
export function seekTo(fd: number, at: number): void {
  seek(fd, at, SEEK_SET);
}

function seek(fd: number, at: number, whence: number): number {
  const found = invoke(lseek, fd, at, whence);
  if (found < 0 && found !== EINVAL && found !== ENXIO) throw failure('lseek', fd, '' as ByteString, found);
  return found;
}
