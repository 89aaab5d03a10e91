/**
 * A step whose root is nobody on the machine. What takes the machine's root is done first: the root file system out of mounts that show
 * files under the step's ids (mount_setattr(2), ID-mapped mounts), what else is mounted out of directories, and /proc, which belongs
 * to the PID namespace. All of it hangs on descriptors when the child enters the user namespace, for good; there it makes the namespaces that are
 * the step's own, and goes on as root of an ordinary user's namespace does. user_namespaces(7)
 */
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, MappedUserNamespace } from './container-spec.ts';
import { AT_FDCWD, attach, attachAt, cloneMount, makeNode, ROOT, SCRATCH } from './file-operations.ts';
import { sourceOperations } from './mount-operations.ts';
import { networkOperations } from './process-operations.ts';
import { DEVICES, openHere, rootOperations, scratchAt } from './root-operations.ts';

/** Whose map counts is said by the number of a descriptor: one that nothing else has (process-operations.ts copies those from 10 on). */
const MAP_FD = 4;
const O_CLOEXEC = 0o2000000;
const CLONE_NEWNS = 0x00020000;
const CLONE_NEWCGROUP = 0x02000000;
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNET = 0x40000000;
const PR_SET_SECUREBITS = 28;
const SECBIT_NO_SETUID_FIXUP = 4;
const S_IFREG = 0o100000;
/** The root file system, until it has a place in the step's own mount namespace. */
const TREE = 'mapped.tree';
/** There is one on every machine, everybody may go there, and the step gets another one. */
const PLACE = '/proc';

export function mappedRootOperations(spec: ContainerSpec, mapped: MappedUserNamespace['mapped'], stdin: 'empty' | 'pipe'): Operation[] {
  const { userNamespace: _, ...onMachine } = spec;
  const map = { idMap: MAP_FD, mappedFiles: mapped.files, first: mapped.first };
  return [
    { syscall: 'dup3', arguments: [{ result: 'userns.copy' }, MAP_FD, O_CLOEXEC], subject: `the user namespace to ${MAP_FD}` },
    ...giveStreams(spec, mapped.first, stdin),
    ...makeFilesAs(mapped.first),
    ...rootOperations(onMachine, mapFiles(mapped.files)),
    ...cloneMount({ dir: ROOT, path: '', tree: 'this mount', attributes: [], as: TREE, subject: 'the root file system' }),
    ...spec.mounts.flatMap((mount, index) => sourceOperations(mount, `mount${index}`, { spec: onMachine, map })),
    ...DEVICES.flatMap(([name]) => detachNode(name)),
    ...enterOperations(spec),
    ...networkOperations(spec),
    ...scratchAt(PLACE, attachNode),
    openHere(PLACE, 'scratch.top'),
    attach(TREE, { result: 'scratch.top' }, 'the root file system'),
    openHere(PLACE, ROOT.result),
  ];
}

/** A pipe can be opened by its name by its owner only. */
function giveStreams({ process }: ContainerSpec, first: number, stdin: 'empty' | 'pipe'): Operation[] {
  if (process.terminal !== undefined) return [];
  const [uid, gid] = [first + process.uid, first + process.gid];
  return (stdin === 'pipe' ? [0, 1, 2] : [1, 2]).map((fd) => ({
    syscall: 'fchown',
    arguments: [fd, uid, gid],
    subject: `descriptor ${fd} to ${uid}:${gid}`,
  }));
}

/** Whoever mounts an overlay makes files in its layers, and these have no number for the machine's root. Nothing else of that changes. */
function makeFilesAs(id: number): Operation[] {
  return [
    { syscall: 'prctl', arguments: [PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0], subject: 'PR_SET_SECUREBITS NO_SETUID_FIXUP' },
    { syscall: 'setfsgid', arguments: [id], subject: String(id) },
    { syscall: 'setfsuid', arguments: [id], subject: String(id) },
  ];
}

/** The directory of all layers once more, on itself, in this mount namespace. */
function mapFiles(directory: string): Operation[] {
  const subject = `${directory} (owners as the step sees them)`;
  return [
    ...cloneMount({
      dir: AT_FDCWD,
      path: directory,
      tree: 'this mount',
      attributes: ['nodev'],
      idMap: MAP_FD,
      as: 'mapped.files',
      subject,
    }),
    openHere(directory, 'mapped.files.place'),
    attach('mapped.files', { result: 'mapped.files.place' }, subject),
  ];
}

function detachNode(name: string): Operation[] {
  const subject = `/dev/${name}`;
  return cloneMount({ dir: SCRATCH, path: name, tree: 'this mount', attributes: ['nosuid', 'noexec'], as: nodeName(name), subject });
}

function attachNode(name: string): Operation[] {
  return [makeNode(SCRATCH, name, { mode: S_IFREG | 0o666, device: 0 }), attachAt(nodeName(name), SCRATCH, name)];
}

function nodeName(device: string): string {
  return `mapped.${device}`;
}

/** From here on the process is root of that namespace, and nobody on the machine. What it made before is reached by descriptors only. */
function enterOperations({ network }: ContainerSpec): Operation[] {
  const own = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | (network === 'none' ? CLONE_NEWNET : 0);
  return [
    { syscall: 'setns', arguments: [{ result: 'userns.copy' }, CLONE_NEWUSER], subject: 'the user namespace of the step' },
    { syscall: 'setgroups', arguments: [0, 0], subject: '[]' },
    { syscall: 'setresgid', arguments: [0, 0, 0], subject: '0 of the user namespace' },
    { syscall: 'setresuid', arguments: [0, 0, 0], subject: '0 of the user namespace' },
    { syscall: 'unshare', arguments: [own], subject: `namespaces of the step (0x${own.toString(16)})` },
  ];
}
