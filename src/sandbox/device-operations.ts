/** A device that a container was given → the operations that put its node in its place: a mount of that one file. */
import { packDevice } from '../sys/device-number.ts';
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, MountSpec } from './container-spec.ts';
import { AT_FDCWD, attach, cloneMount, makeNode, openTarget, SCRATCH } from './file-operations.ts';

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const AT_SYMLINK_NOFOLLOW = 0x100;

type DeviceMount = Extract<MountSpec, { kind: 'device' }>;

/**
 * The node lies in the scratch tmpfs, which is not nodev and which nothing in the container sees; its mount is of that file alone.
 * So this device opens at this path, and a node of the same numbers that a step makes elsewhere does not.
 */
export function deviceOperations(mount: DeviceMount, spec: Pick<ContainerSpec, 'userNamespace' | 'process'>, as: string): Operation[] {
  const { target, hostPath, type, major, minor } = mount;
  const isOwnMachine = spec.userNamespace === undefined;
  const subject = `the device ${type} ${major}:${minor} on ${target} in the container`;
  const source = isOwnMachine ? { dir: SCRATCH, path: as } : { dir: AT_FDCWD, path: hostPath };
  return [
    ...(isOwnMachine ? newNode(mount, spec, as) : []),
    openTarget({ path: target, links: 'follow', as: `${as}.place`, why: 'for a device' }),
    ...cloneMount({ ...source, tree: 'this mount', attributes: ['nosuid', 'noexec'], as, subject }),
    attach(as, { result: `${as}.place` }, subject),
  ];
}

function newNode(mount: DeviceMount, { process }: Pick<ContainerSpec, 'process'>, as: string): Operation[] {
  const { type, major, minor, mode, uid = process.uid, gid = process.gid } = mount;
  const node = makeNode(SCRATCH, as, { mode: (type === 'char' ? S_IFCHR : S_IFBLK) | mode, device: packDevice({ major, minor }) });
  if (uid === 0 && gid === 0) return [node];
  const subject = `${as} for the container (${uid}:${gid})`;
  return [node, { syscall: 'fchownat', arguments: [SCRATCH, { text: as }, uid, gid, AT_SYMLINK_NOFOLLOW], subject }];
}
