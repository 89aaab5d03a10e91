/** A network namespace that nothing names and no process is in: network_namespaces(7). */
import { closeSync, openSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../errors.ts';
import { receiveMessage } from './descriptor-passing.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';
import { AT_FDCWD } from './open.ts';
import { makeSocketPair } from './pipe.ts';
import { reapPidfd } from './process.ts';
import type { Operation } from './syscall-program.ts';
import { cloneProgram } from './syscall-program-engine.ts';

const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNET = 0x40000000;
const O_CLOEXEC = 0o2000000;
const MESSAGE_BYTES = 12;
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

/** The same, of a network namespace that belongs to a user namespace: what is root there is root of this network. */
export function makeNetworkNamespaceOf<T>(userNamespace: number, inside: () => T): { fd: number; result: T } {
  const fd = makeIn(userNamespace);
  try {
    const result = inNetworkNamespace(fd, () => ({ it: inside() }));
    if (result === undefined) throw refused('EPERM');
    return { fd, result: result.it };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Namespaces belong to the user namespace of their maker; a process of many threads cannot enter one. So a child does, and sends what it made. */
function makeIn(userNamespace: number): number {
  const { ours, theirs } = makeSocketPair();
  try {
    const program: Operation[] = [
      { syscall: 'setns', arguments: [{ input: 'userns' }, CLONE_NEWUSER], subject: 'the user namespace' },
      { syscall: 'unshare', arguments: [CLONE_NEWNET], subject: 'the network namespace (CLONE_NEWNET)' },
      { syscall: 'openat', arguments: [AT_FDCWD, { text: '/proc/thread-self/ns/net' }, O_CLOEXEC], subject: 'itself', as: 'made' },
      // A message names its descriptor by number.
      { syscall: 'dup3', arguments: [{ result: 'made' }, 0, 0], subject: 'the network namespace to 0' },
      { syscall: 'sendmsg', arguments: [{ input: 'socket' }, { descriptor: 0 }, 0], subject: 'the network namespace' },
    ];
    const inputs = new Map([
      ['userns', userNamespace],
      ['socket', theirs],
    ]);
    reapPidfd(cloneProgram(program, { namespaces: 0, mode: 'share-memory', inputs, statusFd: theirs }));
    const { bytes, descriptor } = receiveMessage(ours, MESSAGE_BYTES);
    if (descriptor !== undefined) return descriptor;
    const failed = program[bytes.readInt32LE(4)];
    throw new SyscallError(failed?.syscall ?? 'clone3', failed?.subject ?? 'a process', errnoName(bytes.readInt32LE(8)));
  } finally {
    closeSync(ours);
    closeSync(theirs);
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
    throw new SyscallError('return to', 'the network namespace of the process (setns)', errnoName(-result));
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
