/** Terminals: ioctl_tty(2). */
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';

const TIOCSWINSZ = 0x5414;

const TCGETS = 0x5401;
const TCSETSW = 0x5403;
/** The kernel's struct termios: four words of flags, the line discipline, 19 control characters. */
const TERMIOS_BYTES = 36;
const VMIN = 6;
const VTIME = 5;
/** What cfmakeraw(3) clears: IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON; OPOST; ECHO ECHONL ICANON ISIG IEXTEN. */
const CLEARED = { input: 0o2753, output: 0o1, local: 0o100113 } as const;

const ioctl = bind('int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)');

/** `size` is a struct winsize; the terminal's foreground processes get SIGWINCH. */
export function setWindowSize(fd: number, size: Uint8Array): void {
  check('TIOCSWINSZ', invoke(ioctl, fd, TIOCSWINSZ, size));
}

/** Bytes pass as they are, in both directions, until the function that it returns is called. termios(3) */
export function makeRaw(fd: number): () => void {
  const before = Buffer.alloc(TERMIOS_BYTES);
  check('TCGETS', invoke(ioctl, fd, TCGETS, before));
  const raw = Buffer.from(before);
  raw.writeUInt32LE((raw.readUInt32LE(0) & ~CLEARED.input) >>> 0, 0);
  raw.writeUInt32LE((raw.readUInt32LE(4) & ~CLEARED.output) >>> 0, 4);
  raw.writeUInt32LE((raw.readUInt32LE(12) & ~CLEARED.local) >>> 0, 12);
  raw.writeUInt8(1, 17 + VMIN);
  raw.writeUInt8(0, 17 + VTIME);
  check('TCSETSW', invoke(ioctl, fd, TCSETSW, raw));
  // A terminal that has gone needs no settings.
  return () => void invoke(ioctl, fd, TCSETSW, before);
}

function check(request: string, result: number): void {
  if (result < 0) throw new SyscallError('ioctl', `a terminal (${request})`, errnoName(-result));
}
