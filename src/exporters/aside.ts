/**
 * What is not whole yet lies beside the place where it will be, under a name of ours that its writer holds a lock on. So the next
 * writer of the same output knows what a killed one has left, and removes it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { makeDirectoryAt } from '../sys/entries.ts';
import { lockFile, lockNew } from '../sys/lock.ts';
import { createAt, openAt } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { listDirectory, statAt } from '../sys/stat.ts';
import { type ByteString, display } from '../tree/byte-string.ts';

/** Disposing removes what is under the name, if it was not renamed. */
export interface Aside extends Disposable {
  readonly name: ByteString;
  /** Of a file, for writing; of a directory, for reading. Closed when it is disposed of. */
  readonly fd: number;
}

const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const OPEN_DIRECTORY = OPEN | constants.O_DIRECTORY;

/** Makes `.STEM.<random>.tmp` in the directory `dir`, after removing those that nobody holds. The mode is less the umask. */
export function makeAside(dir: number, stem: ByteString, kind: 'file' | 'directory'): Aside {
  removeLeft(dir, stem);
  const { name, fd } = lockNew(display(stem), () => {
    const name = `.${stem}.${randomBytes(6).toString('hex')}.tmp` as ByteString;
    const fd = kind === 'file' ? createAt(dir, name, 0o666) : newDirectory(dir, name);
    return fd === undefined ? undefined : { name, fd };
  });
  return {
    ...{ name, fd },
    [Symbol.dispose]() {
      removeTree(dir, name);
      closeSync(fd);
    },
  };
}

function newDirectory(dir: number, name: ByteString): number {
  makeDirectoryAt(dir, name, 0o700);
  return openAt(dir, name, OPEN_DIRECTORY);
}

function removeLeft(dir: number, stem: ByteString): void {
  const [start, end] = [`.${stem}.`, '.tmp'];
  for (const name of listDirectory(dir)) {
    if (!name.startsWith(start) || !name.endsWith(end) || !/^[a-f0-9]{12}$/.test(name.slice(start.length, -end.length))) continue;
    const type = statAt(dir, name)?.type;
    if (type === 'file' || type === 'directory') removeUnheld(dir, name);
  }
}

function removeUnheld(dir: number, name: ByteString): void {
  let fd: number;
  try {
    fd = openAt(dir, name, OPEN);
  } catch (error) {
    // It is gone, or somebody else's.
    if (error instanceof SyscallError && ['ENOENT', 'EACCES', 'ELOOP'].includes(error.errno)) return;
    throw error;
  }
  try {
    if (lockFile(fd, 'exclusive')) removeTree(dir, name);
  } finally {
    closeSync(fd);
  }
}
