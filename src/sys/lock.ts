/** Advisory locks between processes: flock(2). The kernel drops a lock with its last descriptor, so a crash frees it. */
import { closeSync, fstatSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { SyscallError } from '../errors.ts';
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
const NEW_PATIENCE_MS = 1000;

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

/**
 * Waits by asking again, later each time: a blocking flock would hold one of libuv's threads. false where it became needless, and is not held.
 * Rejects as `signal` says.
 */
export async function waitForLock(fd: number, how: LockKind, signal?: AbortSignal, isNeedless = (): boolean => false): Promise<boolean> {
  for (let wait = WAIT_MS_MIN; !lockFile(fd, how, 'try'); wait = Math.min(wait * 2, WAIT_MS_MAX)) {
    if (isNeedless()) return false;
    await setTimeout(wait, undefined, signal === undefined ? {} : { signal });
  }
  return true;
}

/** Whether `path` still names the open file: who waits for the lock of one that is then removed holds the lock of nothing. */
export function isStillNamed(fd: number, path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
}

/**
 * A new file or directory, open and locked by this process. Before it is locked, somebody who removes what nobody holds may take it for a dead
 * process's: then `make` is called again, for another name. It gives undefined where what it made has gone before it was open. One that was not
 * locked stays: whoever had its lock removes it, or else the next command. Throws SYSCALL_FAILED after a second. `where`: for that error.
 */
export function lockNew<T extends { readonly fd: number }>(where: string, make: () => T | undefined): T {
  const attempt = (): T | undefined => {
    const made = make();
    if (made === undefined || (lockFile(made.fd, 'exclusive') && fstatSync(made.fd).nlink > 0)) return made;
    closeSync(made.fd);
    return undefined;
  };
  const made = insist(attempt, { everyMs: 1, patienceMs: NEW_PATIENCE_MS });
  if (made !== undefined) return made;
  const hint = 'Another process locks, or removes, whatever is made there.';
  throw new SyscallError('lock', `a new file in ${where}`, 'EAGAIN', { hint });
}

/** For locks that are held for a few calls: asks again until `attempt` gives something, for some `patienceMs`; nothing else runs meanwhile. */
export function insist<T>(attempt: () => T | undefined, { everyMs, patienceMs }: { everyMs: number; patienceMs: number }): T | undefined {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += everyMs) {
    const got = attempt();
    if (got !== undefined) return got;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, everyMs);
  }
  return undefined;
}
