/** The user namespace of steps while tsbuild is root: its ids are numbers that no user of the machine has. user_namespaces(7) */
import { closeSync, constants, mkdirSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { lockFile } from '../../sys/lock.ts';
import { makeUserNamespace } from '../../sys/user-namespace.ts';

export interface StepUserNamespace extends Disposable {
  /** Belongs to it: disposing closes it. */
  readonly fd: number;
  /** Ids from 0 on are the machine's from `first` on. */
  readonly first: number;
  readonly count: number;
}

/**
 * Above what systemd gives to containers (up to 0x6fff_ffff) and below what it calls foreign (from 0x7ffe_0000 on; its UIDS-GIDS.md), and
 * far above what useradd(8) hands out as subordinate ids.
 */
const FIRST = 0x7000_0000;
/** As many as images are known to use, and more. */
const COUNT = 1 << 20;
const RANGES = 253;

/**
 * Takes a range that no other process has out of the same state directory: the lock on its file goes with this process. Throws
 * PRIVILEGE where the machine gives no such namespace, or all ranges are taken.
 */
export function openStepUserNamespace(stateDirectory: string): StepUserNamespace {
  const range = takeRange(path.join(stateDirectory, 'userns'));
  try {
    const fd = makeMappedNamespace(range.first);
    return {
      ...{ fd, first: range.first, count: COUNT },
      [Symbol.dispose]() {
        closeSync(fd);
        closeSync(range.lock);
      },
    };
  } catch (error) {
    closeSync(range.lock);
    throw error;
  }
}

function takeRange(directory: string): { readonly first: number; readonly lock: number } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (let index = 0; index < RANGES; index++) {
    const lock = openSync(path.join(directory, String(index)), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    if (lockFile(lock, 'exclusive')) return { first: FIRST + index * COUNT, lock };
    closeSync(lock);
  }
  throw new TsbuildError('PRIVILEGE', `Cannot map the ids of steps: all ${RANGES} ranges are in use by other processes`, {
    hint: 'Wait until other builds have ended, or leave --userns=auto out.',
  });
}

/** With ids of no range that a build may have: for a look at what the machine does with it. The caller closes the descriptor. Throws PRIVILEGE. */
export function tryStepUserNamespace(): { readonly fd: number; readonly first: number } {
  const first = FIRST + RANGES * COUNT;
  return { fd: makeMappedNamespace(first), first };
}

function makeMappedNamespace(first: number): number {
  try {
    return makeUserNamespace((pid) => {
      writeFileSync(`/proc/${pid}/uid_map`, `0 ${first} ${COUNT}`);
      writeFileSync(`/proc/${pid}/gid_map`, `0 ${first} ${COUNT}`);
    });
  } catch (error) {
    const cause = error instanceof TsbuildError && error.cause instanceof SyscallError ? error.cause : error;
    const reason = cause instanceof SyscallError ? `${cause.syscall}: ${cause.errno}` : (cause as NodeJS.ErrnoException).code;
    throw new TsbuildError('PRIVILEGE', `Cannot map the ids of steps: this machine gives no such user namespace (${reason})`, {
      hint: 'Leave --userns=auto out, or allow user namespaces: sysctl user.max_user_namespaces=15000.',
      cause: error,
    });
  }
}
