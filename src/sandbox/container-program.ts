/** From what a container is to how it is made: ContainerSpec → the list of system calls, in order. Pure. */
import type { Operation } from '../sys/syscall-program.ts';
import { chrootOperations, subreaperOperations } from './chroot-operations.ts';
import type { ContainerSpec } from './container-spec.ts';
import { changeMount, ROOT } from './file-operations.ts';
import { mappedRootOperations } from './mapped-root-operations.ts';
import { mountOperations } from './mount-operations.ts';
import { pathOperations } from './proc-path-operations.ts';
import { emptyStdin, finishOperations, identityOperations, networkOperations, ownStreams, startOperations } from './process-operations.ts';
import { enterRootOperations, rootOperations } from './root-operations.ts';
import { terminalOperations } from './terminal-operations.ts';

/** What is known only when the container starts. */
export interface ContainerInputs {
  /** The content of /etc/resolv.conf. */
  readonly resolvConf: string;
  /** struct sock_filter[]; ignored where the spec says `unconfined`. */
  readonly filter: Uint8Array;
  /** Files to write `0` to, so that the container is in its control groups. */
  readonly cgroups?: readonly string[];
  /** `empty`: the step's own null device takes the place of the `stdin` descriptor. */
  readonly stdin: 'empty' | 'pipe';
}

export interface ContainerProgram {
  /** CLONE_NEW* flags of the child's birth. */
  readonly namespaces: number;
  readonly operations: readonly Operation[];
  /**
   * `copied` where the kernel may kill the child for want of memory before it has executed: whoever shares that memory would
   * be killed with it.
   */
  readonly memory: 'shared' | 'copied';
  /** The standard streams are a terminal, whose master comes through the socket in the role `terminal`. */
  readonly hasTerminal: boolean;
}

/** The child's descriptor roles. `netns` is there where the network is private, `terminal` where the command has one, `userns` where ids are mapped. */
export type InputRole = 'stdin' | 'stdout' | 'stderr' | 'status' | 'init' | 'netns' | 'terminal' | 'userns';

const CLONE_NEWNS = 0x00020000;
const CLONE_NEWCGROUP = 0x02000000;
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWPID = 0x20000000;
const CLONE_NEWNET = 0x40000000;

/** The order is runc's where it matters: root, then masks, then seccomp while it is still permitted, then the identity. */
export function containerProgram(spec: ContainerSpec, inputs: ContainerInputs): ContainerProgram {
  const { cgroups = [] } = inputs;
  const operations = [
    ...startOperations(spec, cgroups),
    ...(spec.isolation === 'chroot' ? chrootRoot(spec, inputs) : mountedRoot(spec, inputs)),
    ...identityOperations(spec, inputs.filter),
    ...finishOperations(spec),
  ];
  // A cgroup namespace shows the group that its maker is in: with a group of its own the child makes it itself, once it is there.
  const namespaces = cgroups.length === 0 ? namespaceFlags(spec) : namespaceFlags(spec) & ~CLONE_NEWCGROUP;
  const hasTerminal = spec.process.terminal !== undefined;
  return { namespaces, operations, memory: cgroups.length === 0 ? 'shared' : 'copied', hasTerminal };
}

function chrootRoot(spec: ContainerSpec, inputs: ContainerInputs): Operation[] {
  return [...networkOperations(spec), ...subreaperOperations(), ...standardStreams(spec, inputs), ...chrootOperations(spec)];
}

function mountedRoot(spec: ContainerSpec, inputs: ContainerInputs): Operation[] {
  const { userNamespace = { ids: 'all' } } = spec;
  return [
    ...('mapped' in userNamespace
      ? mappedRootOperations(spec, userNamespace.mapped, inputs.stdin)
      : [...networkOperations(spec), ...rootOperations(spec)]),
    ...spec.mounts.flatMap((mount, index) => mountOperations(mount, { index, resolvConf: inputs.resolvConf, spec })),
    ...pathOperations(spec),
    ...standardStreams(spec, inputs),
    ...(spec.rootAccess === 'read-only' ? [changeMount(ROOT, { attributes: ['ro'], subject: 'the root file system (read-only)' })] : []),
    ...enterRootOperations(spec),
  ];
}

/** Without a PID namespace the first process ends the others, so that it must not be killed: it ends when tsbuild hangs up. */
export function hasPidNamespace({ namespaces }: Pick<ContainerProgram, 'namespaces'>): boolean {
  return (namespaces & CLONE_NEWPID) !== 0;
}

function standardStreams(spec: ContainerSpec, { stdin }: ContainerInputs): Operation[] {
  if (spec.process.terminal !== undefined) return terminalOperations(spec, spec.process.terminal);
  return [...(stdin === 'empty' ? emptyStdin() : []), ...(isMapped(spec) ? [] : ownStreams(spec.process.uid, stdin))];
}

function namespaceFlags(spec: ContainerSpec): number {
  // The others belong to the step's user namespace, and are made there.
  if (isMapped(spec)) return CLONE_NEWNS | CLONE_NEWPID;
  if (spec.isolation === 'chroot') return spec.network === 'none' ? CLONE_NEWNET : 0;
  const flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
  return spec.network === 'none' ? flags | CLONE_NEWNET : flags;
}

function isMapped({ userNamespace }: ContainerSpec): boolean {
  return userNamespace !== undefined && 'mapped' in userNamespace;
}
