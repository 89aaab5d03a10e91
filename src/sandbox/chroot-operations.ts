/** A root directory without a mount, for places where nothing can be mounted, and the process that ends what a step leaves there. */
import { constants } from 'node:fs';
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec } from './container-spec.ts';
import { AT_FDCWD } from './file-operations.ts';

/** native/init.c knows the number; those of the helper process (launch-helper.ts) are lower. */
const CHILDREN_FD = 63;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const F_DUPFD_CLOEXEC = 1030;
const PR_SET_CHILD_SUBREAPER = 36;

/**
 * Whoever loses its parent in the step becomes a child of its first process, which kills its children by a list that it must open
 * while there is a /proc. prctl(2), proc(5)
 */
export function subreaperOperations(): Operation[] {
  return [
    { syscall: 'prctl', arguments: [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0], subject: 'PR_SET_CHILD_SUBREAPER' },
    {
      syscall: 'openat',
      arguments: [AT_FDCWD, { text: '/proc/thread-self/children' }, O_CLOEXEC],
      subject: 'the list of its children',
      as: 'children',
    },
    // By way of another number, since dup3 refuses two that are the same.
    {
      syscall: 'fcntl',
      arguments: [{ result: 'children' }, F_DUPFD_CLOEXEC, CHILDREN_FD + 1],
      subject: 'F_DUPFD_CLOEXEC of the list of its children',
      as: 'children.copy',
    },
    { syscall: 'dup3', arguments: [{ result: 'children.copy' }, CHILDREN_FD, 0], subject: `the list of its children to ${CHILDREN_FD}` },
  ];
}

/** chroot(2) by a descriptor: no path is used twice. Nobody without CAP_SYS_CHROOT or a descriptor of a directory outside comes back. */
export function chrootOperations({ rootfs }: Pick<ContainerSpec, 'rootfs'>): Operation[] {
  if (!('directory' in rootfs)) throw new Error('A chroot into something that is no directory');
  return [
    {
      syscall: 'openat',
      arguments: [AT_FDCWD, { text: rootfs.directory }, O_PATH | O_CLOEXEC | constants.O_DIRECTORY | constants.O_NOFOLLOW],
      subject: `${rootfs.directory} (O_PATH)`,
      as: 'root',
    },
    { syscall: 'fchdir', arguments: [{ result: 'root' }], subject: 'to the root directory' },
    { syscall: 'chroot', arguments: [{ text: '.' }], subject: 'to the root directory' },
    { syscall: 'chdir', arguments: [{ text: '/' }], subject: '/ of the step' },
  ];
}
