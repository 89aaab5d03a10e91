/** Whether two files hold the same bytes. */
import { closeSync, readSync } from 'node:fs';

const COMPARE_BYTES = 1 << 16;

/** Compares two files of equal size and closes both. */
export function isSameContent(a: number, b: number): boolean {
  try {
    const [one, other] = [Buffer.allocUnsafe(COMPARE_BYTES), Buffer.allocUnsafe(COMPARE_BYTES)];
    for (;;) {
      const count = readFully(a, one);
      if (readFully(b, other) !== count || !one.subarray(0, count).equals(other.subarray(0, count))) return false;
      if (count < COMPARE_BYTES) return true;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function readFully(fd: number, into: Buffer): number {
  let at = 0;
  for (let count = -1; count !== 0 && at < into.length; at += count) count = readSync(fd, into, at, into.length - at, null);
  return at;
}
