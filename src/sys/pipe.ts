/** Descriptors to talk through: pipes, sockets and files in memory. All close-on-exec; the caller closes them. */
import { SyscallError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { bind, lastErrno } from './libc.ts';

const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 16;
const F_ADD_SEALS = 1033;
const SEALS_ALL = 0b1111; // F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
const EINVAL = 22;

const pipe2 = bind('int pipe2(_Out_ int *fds, int flags)');
const socketpair = bind('int socketpair(int domain, int type, int protocol, _Out_ int *fds)');
const memfd_create = bind('int memfd_create(const char *name, unsigned int flags)');
const fcntl = bind('int fcntl(int fd, int command, long argument)');
const write = bind('int64_t write(int fd, const void *bytes, size_t size)');

/** A real pipe, unlike Node's sockets, so that a step can reopen `/dev/stdout`. pipe(2) */
export function makePipe(): { read: number; write: number } {
  const fds = new Int32Array(2);
  check('pipe2', 'a pipe', pipe2(fds, O_CLOEXEC));
  return { read: fds[0] ?? -1, write: fds[1] ?? -1 };
}

/** Two connected stream sockets. socketpair(2) */
export function makeSocketPair(): { ours: number; theirs: number } {
  const fds = new Int32Array(2);
  check('socketpair', 'AF_UNIX', socketpair(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, fds));
  return { ours: fds[0] ?? -1, theirs: fds[1] ?? -1 };
}

/** An executable file in memory that nobody can change any more. memfd_create(2) */
export function makeSealedExecutable(name: string, bytes: Uint8Array): number {
  let fd = Number(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
  // Linux before 6.3 does not know MFD_EXEC, and makes every memfd executable.
  if (fd === -1 && lastErrno() === EINVAL) fd = Number(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  check('memfd_create', name, fd);
  const written = Number(write(fd, bytes, bytes.length));
  check('write', `${name} in memory`, written === bytes.length ? 0 : -1);
  check('seal', `${name} in memory`, fcntl(fd, F_ADD_SEALS, SEALS_ALL));
  return fd;
}

/** A file in memory with this content; its position is at the end. */
export function makeMemoryFile(name: string, bytes: Uint8Array): number {
  const fd = Number(memfd_create(name, MFD_CLOEXEC));
  check('memfd_create', name, fd);
  for (let offset = 0; offset < bytes.length; ) {
    const written = Number(write(fd, bytes.subarray(offset), bytes.length - offset));
    check('write', `${name} in memory`, written);
    offset += written;
  }
  return fd;
}

function check(syscall: string, subject: string, result: unknown): void {
  if (Number(result) < 0) throw new SyscallError(syscall, subject, errnoName(lastErrno()));
}
