/** Terminals: ioctl_tty(2). */
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';

const TIOCSWINSZ = 0x5414;

const ioctl = bind('int ioctl(int fd, unsigned long request, const uint8_t *argument)');

/** `size` is a struct winsize; the terminal's foreground processes get SIGWINCH. */
export function setWindowSize(fd: number, size: Uint8Array): void {
  const result = invoke(ioctl, fd, TIOCSWINSZ, size);
  if (result < 0) throw new SyscallError('ioctl', 'a terminal (TIOCSWINSZ)', errnoName(-result));
}
