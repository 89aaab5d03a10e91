/** A device that a container was given → the operations that make a mount of its node alone. */
import { packDevice } from '../sys/device-number.ts';
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, MountSpec } from './container-spec.ts';
import { AT_FDCWD, cloneMount, makeNode, SCRATCH } from './file-operations.ts';

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const AT_SYMLINK_NOFOLLOW = 0x100;

type DeviceMount = Extract<MountSpec, { kind: 'device' }>;

interface NodePlace {
  readonly spec: Pick<ContainerSpec, 'process'>;
  /** The machine's number of the step's id 0. */
  readonly first: number;
  /** A node can be made; otherwise it is the machine's own. */
  readonly isMade: boolean;
}

/**
 * A detached mount of the node, named `as`. The node lies in the scratch tmpfs, which is not nodev and which nothing in the container sees; its mount is of
 * that file alone. So this device opens at one path, and a node of the same numbers that a step makes elsewhere does not.
 */
export function deviceSource(mount: DeviceMount, as: string, place: NodePlace): Operation[] {
  const { target, hostPath, type, major, minor } = mount;
  const subject = `the device ${type} ${major}:${minor} for ${target} in the container`;
  const source = place.isMade ? { dir: SCRATCH, path: as } : { dir: AT_FDCWD, path: hostPath };
  return [
    ...(place.isMade ? newNode(mount, as, place) : []),
    ...cloneMount({ ...source, tree: 'this mount', attributes: ['nosuid', 'noexec'], as, subject }),
  ];
}

function newNode(mount: DeviceMount, as: string, { spec: { process }, first }: NodePlace): Operation[] {
  const { type, major, minor, mode, uid = process.uid, gid = process.gid } = mount;
  const node = makeNode(SCRATCH, as, { mode: (type === 'char' ? S_IFCHR : S_IFBLK) | mode, device: packDevice({ major, minor }) });
  if (uid === 0 && gid === 0) return [node];
  const subject = `${as} for the container (${uid}:${gid})`;
  return [node, { syscall: 'fchownat', arguments: [SCRATCH, { text: as }, first + uid, first + gid, AT_SYMLINK_NOFOLLOW], subject }];
}
