/** Advisory locks between processes: flock(2). The kernel drops a lock with its last descriptor, so a crash frees it. */
import { setTimeout } from 'node:timers/promises';
import type { ByteString } from '../tree/byte-string.ts';
import { failure, invoke } from './errno.ts';
import { bind } from './libc.ts';

export type LockKind = 'shared' | 'exclusive';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const EAGAIN = 11;
const WAIT_MS_MIN = 2;
const WAIT_MS_MAX = 200;

const flock = bind('int flock(int fd, int operation)');

/** Never waits: false where another descriptor holds a lock in the way. */
export function lockFile(fd: number, how: LockKind, _wait: 'try' = 'try'): boolean {
  const result = invoke(flock, fd, (how === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB);
  if (result === -EAGAIN) return false;
  if (result < 0) throw failure('lock', fd, '' as ByteString, result);
  return true;
}

export function unlockFile(fd: number): void {
  const result = invoke(flock, fd, LOCK_UN);
  if (result < 0) throw failure('unlock', fd, '' as ByteString, result);
}

/** Waits by asking again, later each time: a blocking flock would hold one of libuv's threads. Rejects as `signal` says. */
export async function waitForLock(fd: number, how: LockKind, signal?: AbortSignal): Promise<void> {
  for (let wait = WAIT_MS_MIN; !lockFile(fd, how, 'try'); wait = Math.min(wait * 2, WAIT_MS_MAX)) {
    await setTimeout(wait, undefined, signal === undefined ? {} : { signal });
  }
}
