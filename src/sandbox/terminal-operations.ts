/** A terminal for the command: a pair out of the container's own devpts, so that nothing of the caller's terminal is inside. pty(7) */
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, TerminalSize } from './container-spec.ts';
import { attachAt, cloneMount, makeNode } from './file-operations.ts';

const O_RDWR_NOCTTY_CLOEXEC = 0o2000402;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;
const TIOCSWINSZ = 0x5414;
const S_IFREG = 0o100000;
/** The first of a new devpts. */
const FIRST = '0';
const UNLOCKED = Buffer.alloc(4).toString('base64');

/** Sends the master through the socket in the role `terminal` and makes the slave 0, 1, 2 and /dev/console; PID 1 keeps neither. */
export function terminalOperations({ mounts, process }: ContainerSpec, size: TerminalSize): Operation[] {
  const at = mounts.findIndex(({ kind }) => kind === 'dev');
  if (at === -1) throw new Error('A terminal needs a /dev');
  const dev = { result: `mount${at}` };
  const pts = { result: `mount${at}.pts` };
  const master = { result: 'terminal.master' };
  const slave = { result: 'terminal.slave' };
  return [
    { syscall: 'openat', arguments: [pts, { text: 'ptmx' }, O_RDWR_NOCTTY_CLOEXEC], subject: 'ptmx of the container', as: master.result },
    { syscall: 'ioctl', arguments: [master, TIOCSPTLCK, { bytes: UNLOCKED }], subject: 'the terminal (TIOCSPTLCK 0)' },
    { syscall: 'ioctl', arguments: [master, TIOCGPTPEER, O_RDWR_NOCTTY_CLOEXEC], subject: 'the terminal (TIOCGPTPEER)', as: slave.result },
    {
      syscall: 'ioctl',
      arguments: [slave, TIOCSWINSZ, { bytes: windowSize(size).toString('base64') }],
      subject: 'the terminal (TIOCSWINSZ)',
    },
    { syscall: 'fchown', arguments: [slave, process.uid, -1], subject: `the terminal to ${process.uid}` },
    // A message names its descriptor by number: 0 is one that nothing else has.
    { syscall: 'dup3', arguments: [master, 0, 0], subject: 'the master of the terminal to 0' },
    { syscall: 'sendmsg', arguments: [{ result: 'terminal.copy' }, { descriptor: 0 }, 0], subject: 'the master of the terminal' },
    ...[0, 1, 2].map((fd): Operation => ({ syscall: 'dup3', arguments: [slave, fd, 0], subject: `the terminal to ${fd}` })),
    makeNode(dev, 'console', { mode: S_IFREG | 0o600, device: 0 }),
    ...cloneMount({
      ...{ dir: pts, path: FIRST, tree: 'this mount', as: 'terminal.console', subject: '/dev/console' },
      attributes: ['nosuid', 'noexec'],
    }),
    attachAt('terminal.console', dev, 'console'),
  ];
}

/** struct winsize, ioctl_tty(2) */
export function windowSize({ columns, rows }: TerminalSize): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(rows & 0xffff, 0);
  bytes.writeUInt16LE(columns & 0xffff, 2);
  return bytes;
}
