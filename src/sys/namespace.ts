/** A network namespace that nothing names and no process is in: network_namespaces(7). */
import { closeSync, openSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';

const CLONE_NEWNET = 0x40000000;
const EPERM = 1;

const unshare = bind('int unshare(int flags)');
const setns = bind('int setns(int fd, int type)');

/**
 * Makes a network namespace and returns its descriptor (close-on-exec, the caller closes it); the namespace is gone when
 * nothing holds it any more. `inside` runs in it, to open sockets there.
 *
 * This is the one place where the build process changes a namespace of its own, and it is over before anything else can
 * run: the network namespace belongs to a thread, counts only when a socket is opened or /proc/net read, and there is no
 * `await` between the leaving and the coming back. Takes 0.4 ms; a process of its own would take a hundred times that.
 */
export function makeNetworkNamespace<T>(inside: () => T): { fd: number; result: T } {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const made = invoke(unshare, CLONE_NEWNET);
    if (made < 0) throw refused(errnoName(-made));
    let fd: number | undefined;
    try {
      fd = openSync('/proc/thread-self/ns/net', 'r');
      return { fd, result: inside() };
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw error;
    } finally {
      comeBack(home);
    }
  } finally {
    closeSync(home);
  }
}

/**
 * Runs `inside`, which must not wait, in the network namespace `fd`: what it opens belongs there. As above. Undefined, and nothing
 * done, where this process could not come back, since its own network belongs to a user namespace above its own.
 */
export function inNetworkNamespace<T>(fd: number, inside: () => T): T | undefined {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const stayed = invoke(setns, home, CLONE_NEWNET);
    if (stayed === -EPERM) return undefined;
    const entered = stayed < 0 ? stayed : invoke(setns, fd, CLONE_NEWNET);
    if (entered < 0) throw new SyscallError('setns', 'a network namespace (CLONE_NEWNET)', errnoName(-entered));
    try {
      return inside();
    } finally {
      comeBack(home);
    }
  } finally {
    closeSync(home);
  }
}

function comeBack(home: number): void {
  const result = invoke(setns, home, CLONE_NEWNET);
  if (result < 0) {
    // Nothing this process does from here on would be in the network that its caller expects.
    throw new Error(`Cannot return to the network namespace of the process: ${errnoName(-result)}`);
  }
}

function refused(errno: string): TsbuildError {
  const cause = new SyscallError('unshare', 'the network namespace (CLONE_NEWNET)', errno);
  if (errno !== 'EPERM') return cause;
  return new TsbuildError('PRIVILEGE', 'Cannot make a network namespace for a step: EPERM', {
    hint: 'Run tsbuild as root, or give the step the network of the machine.',
    cause,
  });
}
