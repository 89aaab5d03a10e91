/** A user namespace that is made beside this process. user_namespaces(7) */
import { closeSync, openSync, readSync } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { makePipe } from './pipe.ts';
import { pidOfPidfd, reapPidfd } from './process.ts';
import type { Operation } from './syscall-program.ts';
import { cloneProgram } from './syscall-program-engine.ts';

const CLONE_NEWNS = 0x00020000;
const CLONE_NEWUSER = 0x10000000;
const MS_REC_PRIVATE = 0x4000 | (1 << 18);
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const READY = 'y';
const MESSAGE_BYTES = 12;

/**
 * Makes a user namespace and returns its descriptor, which the caller closes. `writeMaps` gets the number of a process in
 * it, which is gone when this function returns. Throws a SyscallError, of `clone3` where the kernel gives ordinary users no
 * namespace, of `mount` where a security module takes the privileges in it away again.
 */
export function makeUserNamespace(writeMaps: (pid: number) => void): number {
  const hold = makePipe();
  const ready = makePipe();
  const open = new Set([hold.read, hold.write, ready.read, ready.write]);
  const close = (fd: number) => {
    if (open.delete(fd)) closeSync(fd);
  };
  try {
    const inputs = new Map([
      ['hold', hold.read],
      ['hold.ours', hold.write],
      ['ready', ready.write],
    ]);
    const program = holderProgram();
    const pidfd = cloneProgram(program, {
      ...{ namespaces: CLONE_NEWUSER | CLONE_NEWNS, mode: 'copy-memory', inputs, statusFd: ready.write },
    });
    try {
      close(ready.write);
      waitUntilReady(ready.read, program);
      const pid = pidOfPidfd(pidfd);
      writeMaps(pid);
      return openSync(`/proc/${pid}/ns/user`, 'r');
    } finally {
      close(hold.write);
      reapPidfd(pidfd);
    }
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/** Lives until its maker closes the pipe, or ends. The mount tells whether privileges in the namespace count for anything. */
function holderProgram(): Operation[] {
  return [
    { syscall: 'prctl', arguments: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], subject: 'PR_SET_PDEATHSIG' },
    { syscall: 'close', arguments: [{ input: 'hold.ours' }], subject: 'the end of the pipe that is not ours' },
    { syscall: 'mount', arguments: [0, { text: '/' }, 0, MS_REC_PRIVATE, 0], subject: '/ in a user namespace (MS_REC+MS_PRIVATE)' },
    { syscall: 'write', arguments: [{ input: 'ready' }, { text: READY }, 1], subject: 'to the pipe' },
    { syscall: 'read', arguments: [{ input: 'hold' }, { space: 1 }, 1], subject: 'from the pipe' },
  ];
}

function waitUntilReady(fd: number, program: readonly Operation[]): void {
  const message = Buffer.alloc(MESSAGE_BYTES);
  const length = readSync(fd, message);
  if (length === 1) return;
  const failed = length === MESSAGE_BYTES ? program[message.readInt32LE(4)] : undefined;
  throw failed === undefined
    ? new SyscallError('clone3', 'a process in a user namespace', 'ECHILD')
    : new SyscallError(failed.syscall, failed.subject, errnoName(message.readInt32LE(8)));
}
