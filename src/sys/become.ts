/** This process as another program: the same number, terminal, parent and descriptors. execve(2) */
import { readdirSync, readlinkSync } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { bind, lastErrno } from './libc.ts';

const F_SETFD = 2;

const fexecve = bind('int fexecve(int fd, const char **argv, const char **envp)');
const fcntl = bind('int fcntl(int fd, int command, long argument)');

export interface NewProgram {
  /** An executable, open. */
  readonly fd: number;
  /** From the program's name on. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Descriptors that it keeps beside those that the caller of this process gave it. */
  readonly keep: readonly number[];
}

/** Never returns; throws where the kernel refuses, and everything is as before then. Other threads are gone at once. */
export function becomeProgram({ fd, argv, env, keep }: NewProgram): never {
  for (const kept of [...givenDescriptors(), ...keep]) fcntl(kept, F_SETFD, 0);
  const environment = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  fexecve(fd, [...argv, null], [...environment, null]);
  throw new SyscallError('execve', argv[0] ?? 'a program', errnoName(lastErrno()));
}

/**
 * Node closes all descriptors when another program starts, the standard streams too, and does not know which were there before it.
 * Its own are nameless, or pipes whose both ends it holds; `-f /dev/fd/63` names one that was given.
 */
function givenDescriptors(): number[] {
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [{ fd: Number(fd), link: readlinkSync(`/proc/self/fd/${fd}`) }];
    } catch {
      return []; // the one that the listing itself was read by
    }
  });
  const isOwn = ({ link }: { link: string }) =>
    /^(anon_inode:|\/memfd:)/.test(link) || (link.startsWith('pipe:') && links.filter((other) => other.link === link).length > 1);
  return links.filter((entry) => entry.fd <= 2 || !isOwn(entry)).map(({ fd }) => fd);
}
