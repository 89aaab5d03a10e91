/** Processes by pidfd: a number that cannot come to mean another process. pidfd_open(2) */
import { closeSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind, koffi } from './libc.ts';

/** How a process ended. Exactly one of the two is set; `signal` is a name such as `SIGKILL`. */
export interface ProcessEnd {
  readonly exitCode?: number;
  readonly signal?: string;
}

const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
const WALL = 0x40000000;
const SIGINFO_BYTES = 128;
const CLD_EXITED = 1;
const ESRCH = 3;
const PR_SET_PDEATHSIG = 1;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const PR_SET_CHILD_SUBREAPER = 36;

const syscall = bind('long syscall(long number, long a, long b, long c, long d)');
const waitid = bind('int waitid(int type, int id, _Out_ uint8_t *info, int options)');
const prctl = bind('int prctl(int option, unsigned long argument)');
const unshareCall = bind('int unshare(int flags)');

/** Close-on-exec by itself; the caller closes it. `undefined` if there is no such process. */
export function pidfdOpen(pid: number): number | undefined {
  const fd = invoke(syscall, SYS_PIDFD_OPEN, pid, 0, 0, 0);
  if (fd === -ESRCH) return undefined;
  if (fd < 0) throw new SyscallError('pidfd_open', `process ${pid}`, errnoName(-fd));
  return fd;
}

/** A process that has ended already is no error. */
export function pidfdSendSignal(pidfd: number, signal: NodeJS.Signals): void {
  const result = invoke(syscall, SYS_PIDFD_SEND_SIGNAL, pidfd, constants.signals[signal], 0, 0);
  if (result < 0 && result !== -ESRCH) throw new SyscallError('pidfd_send_signal', signal, errnoName(-result));
}

/** Waits for a child without a thread or a blocking call, reaps it, and closes the pidfd. */
export async function waitPidfd(pidfd: number): Promise<ProcessEnd> {
  try {
    await untilReadable(pidfd);
    return reap(pidfd);
  } finally {
    closeSync(pidfd);
  }
}

/** Whether this process can be traced and dumped; a child that shares its memory and changes its user turns that off. prctl(2) */
export function dumpable(): number {
  return Number(prctl(PR_GET_DUMPABLE, 0));
}

export function setDumpable(value: number): void {
  prctl(PR_SET_DUMPABLE, value);
}

/** Whether what loses its parent among the descendants of this process becomes its child. prctl(2) */
export function setChildSubreaper(is: boolean): void {
  prctl(PR_SET_CHILD_SUBREAPER, is ? 1 : 0);
}

/** SIGKILL to this process when the thread that started it ends. prctl(2) */
export function dieWithParent(): void {
  prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL);
}

/**
 * Leaves namespaces (CLONE_NEW* flags); returns 0 or an errno. Only this thread moves, so this is for a process that exists to
 * become another program. unshare(2)
 */
export function unshare(namespaces: number): number {
  return -Math.min(0, invoke(unshareCall, namespaces));
}

/** Resolves when there is something to read, or an end; takes no thread. */
export function untilReadable(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const handle = koffi().node.poll(fd, { readable: true }, () => {
      handle.stop();
      handle.close();
      resolve();
    });
  });
}

/** The number of the process; nobody else has it as long as the process is not reaped. */
export function pidOfPidfd(pidfd: number): number {
  const found = /^Pid:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'latin1'))?.[1];
  if (found === undefined) throw new Error('Not a pidfd');
  return Number(found);
}

/** As `waitPidfd`, in place: for a child that is about to end. */
export function reapPidfd(pidfd: number): ProcessEnd {
  try {
    return reap(pidfd, 0);
  } finally {
    closeSync(pidfd);
  }
}

/** siginfo_t: si_code at 8, si_status at 24, on both architectures. */
function reap(pidfd: number, wait = WNOHANG): ProcessEnd {
  const info = Buffer.alloc(SIGINFO_BYTES);
  const result = invoke(waitid, P_PIDFD, pidfd, info, WEXITED | wait | WALL);
  if (result < 0) throw new SyscallError('waitid', 'the process of a step', errnoName(-result));
  const status = info.readInt32LE(24);
  return info.readInt32LE(8) === CLD_EXITED ? { exitCode: status } : { signal: signalName(status) };
}

/** `9` is `SIGKILL`; a real-time signal is `signal 40`. */
export function signalName(signal: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found?.[0] ?? `signal ${signal}`;
}
