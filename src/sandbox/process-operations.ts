/** The process itself: its ties to tsbuild, its descriptors, its identity, and the exec of PID 1. */
import { TsbuildError } from '../errors.ts';
import type { Operation } from '../sys/syscall-program.ts';
import { CAPABILITY_COUNT_MAX, capabilityNumber, capabilitySet } from './capability.ts';
import type { ContainerSpec, ProcessSpec } from './container-spec.ts';
import { AT_FDCWD, SCRATCH } from './file-operations.ts';
import { type Rlimit, rlimitBytes, rlimitNumber } from './rlimits.ts';

/** PID 1's descriptor of the socket to tsbuild; native/init.c knows the number. */
const STATUS_FD = 3;
const PR_SET_PDEATHSIG = 1;
const PR_GET_SECCOMP = 21;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_KEEPCAPS = 8;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SIGKILL = 9;
const F_DUPFD_CLOEXEC = 1030;
const CLOSE_RANGE_CLOEXEC = 4;
const CLONE_NEWCGROUP = 0x02000000;
const CLONE_NEWNET = 0x40000000;
const KEYCTL_JOIN_SESSION_KEYRING = 1;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_MODE_FILTER = 2;
const CAPABILITY_VERSION_3 = 0x20080522;
const AT_EMPTY_PATH = 0x1000;
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const O_WRONLY = 1;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const RESOLVE_NO_MAGICLINKS_IN_ROOT = 18;
const PATH_BYTES_MAX = 4096;
const EPERM = 1;
const EINVAL = 22;
const EROFS = 30;
const KEEP_GROUP = -1;
const ENOSYS = 38;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** First of all: die with tsbuild, be in the step's control groups (files to write to), hold nothing of the caller's beyond the exec. */
export function startOperations(
  { isolation, network, process, userNamespace = { ids: 'all' } }: ContainerSpec,
  cgroups: readonly string[],
): Operation[] {
  const isMapped = 'mapped' in userNamespace;
  const others = [
    'init',
    ...(network === 'private' ? ['netns'] : []),
    ...(process.terminal === undefined ? [] : ['terminal']),
    ...(isMapped ? ['userns'] : []),
  ];
  return [
    dieWithParent(),
    ...cgroups.flatMap(joinCgroup),
    ...(cgroups.length === 0 || isMapped || isolation === 'chroot' ? [] : [ownCgroupNamespace()]),
    { syscall: 'umask', arguments: [0], subject: '0' },
    { syscall: 'setsid', arguments: [], subject: 'of PID 1' },
    ...descriptorOperations(others),
  ];
}

/** Moves to the step's network, where it has one of its own. */
export function networkOperations({ network }: Pick<ContainerSpec, 'network'>): Operation[] {
  return network === 'private' ? [joinNetwork()] : network === 'none' ? loopbackUp() : [];
}

/** Who the process is. seccomp comes first: without no_new_privs it takes CAP_SYS_ADMIN, and setuid programs must go on working. */
export function identityOperations(spec: ContainerSpec, filter: Uint8Array): Operation[] {
  const { isolation, seccomp, process } = spec;
  return [
    ...(isolation === 'chroot' ? [] : hostNames(spec)),
    {
      syscall: 'keyctl',
      arguments: [KEYCTL_JOIN_SESSION_KEYRING, 0],
      subject: 'JOIN_SESSION_KEYRING (a new anonymous one)',
      // Whom a filter forbids it, it forbids the use of keyrings altogether.
      ignore: isolation === 'chroot' ? [ENOSYS, EPERM] : [ENOSYS],
    },
    ...workingDirectory(process.cwd),
    ...(process.rlimits ?? []).map(rlimitOperation),
    ...(process.newPrivileges === 'none' ? [noNewPrivileges()] : []),
    ...(seccomp === 'default' ? seccompOperations(filter) : []),
    ...credentialOperations(spec),
    { syscall: 'umask', arguments: [process.umask], subject: `0${process.umask.toString(8)}` },
    // The kernel forgets it when credentials change. Whoever has to end others is not to be killed: it watches the socket.
    isolation === 'chroot' ? outliveParent() : dieWithParent(),
    parentAlive(),
  ];
}

function hostNames({ hostname }: ContainerSpec): Operation[] {
  return [
    { syscall: 'sethostname', arguments: [{ text: hostname }, Buffer.byteLength(hostname)], subject: hostname },
    { syscall: 'setdomainname', arguments: [{ text: '(none)' }, 6], subject: '(none)' },
  ];
}

/** The last of all: PID 1 from memory, with the step's environment and nothing else. */
export function finishOperations({ process }: ContainerSpec): Operation[] {
  const candidates = executablePaths(process);
  return [
    {
      syscall: 'execveat',
      arguments: [
        { result: 'init.copy' },
        { text: '' },
        { texts: ['init', String(candidates.length), ...candidates, ...process.argv] },
        { texts: process.env },
        AT_EMPTY_PATH,
      ],
      subject: 'PID 1 of the container',
    },
  ];
}

/** Read end of the step's own null device, not the host's: a descriptor of that would let a step change its inode. */
export function emptyStdin(): Operation[] {
  return [
    { syscall: 'openat', arguments: [SCRATCH, { text: 'null' }, O_CLOEXEC], subject: 'the null device', as: 'null' },
    { syscall: 'dup3', arguments: [{ result: 'null' }, 0, 0], subject: 'the null device to 0' },
  ];
}

/** Whoever runs the command may open /dev/stdout by its name, as with runc; the null device stays root's. Not every stream has an owner. */
export function ownStreams(uid: number, stdin: 'empty' | 'pipe'): Operation[] {
  const streams = stdin === 'pipe' ? [0, 1, 2] : [1, 2];
  if (uid === 0) return [];
  return streams.map((fd) => ({
    syscall: 'fchown',
    arguments: [fd, uid, KEEP_GROUP],
    subject: `descriptor ${fd} to ${uid}`,
    ignore: [EPERM, EINVAL, EROFS],
  }));
}

/** As execvp(3): a name without a slash is looked for along PATH of the step's environment. */
function executablePaths({ argv, env }: ProcessSpec): string[] {
  const [name] = argv;
  if (name === undefined || name === '') throw new TsbuildError('RUN_NOT_STARTED', 'Cannot start a command without a name');
  if (name.includes('/')) return [name];
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH;
  return path.split(':').map((directory) => (directory === '' ? `./${name}` : `${directory}/${name}`));
}

function noNewPrivileges(): Operation {
  return { syscall: 'prctl', arguments: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], subject: 'PR_SET_NO_NEW_PRIVS' };
}

function dieWithParent(): Operation {
  return { syscall: 'prctl', arguments: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], subject: 'PR_SET_PDEATHSIG' };
}

function outliveParent(): Operation {
  return { syscall: 'prctl', arguments: [PR_SET_PDEATHSIG, 0, 0, 0, 0], subject: 'PR_SET_PDEATHSIG (none)' };
}

/** The socket to tsbuild has not hung up: a parent that died before PDEATHSIG was set sends no signal. PID 1 goes on watching it. */
function parentAlive(): Operation {
  const request = Buffer.alloc(8);
  request.writeInt32LE(STATUS_FD, 0);
  return {
    syscall: 'ppoll',
    arguments: [{ bytes: request.toString('base64') }, 1, { space: 16 }, 0, 8],
    subject: 'the socket to tsbuild (has tsbuild ended?)',
    expect: { result: 0 },
  };
}

/** By way of numbers from 10 on, so that no dup3 closes the source of the next one. Everything from 4 on ends with the exec. */
function descriptorOperations(others: readonly string[]): Operation[] {
  const roles = ['stdin', 'stdout', 'stderr', 'status'];
  return [
    ...[...roles, ...others].map(
      (role): Operation => ({
        syscall: 'fcntl',
        arguments: [{ input: role }, F_DUPFD_CLOEXEC, 10],
        subject: `F_DUPFD_CLOEXEC of ${role}`,
        as: `${role}.copy`,
      }),
    ),
    ...roles.map(
      (role, fd): Operation => ({ syscall: 'dup3', arguments: [{ result: `${role}.copy` }, fd, 0], subject: `${role} to ${fd}` }),
    ),
    {
      syscall: 'close_range',
      arguments: [STATUS_FD + 1, 0xffff_ffff, CLOSE_RANGE_CLOEXEC],
      subject: 'all other descriptors (CLOSE_RANGE_CLOEXEC)',
    },
  ];
}

/** cgroups(7): 0 is whoever writes it. */
function joinCgroup(path: string, index: number): Operation[] {
  const file = `cgroup.${index}`;
  return [
    { syscall: 'openat', arguments: [AT_FDCWD, { text: path }, O_WRONLY | O_CLOEXEC], subject: path, as: file },
    { syscall: 'write', arguments: [{ result: file }, { text: '0' }, 1], subject: `0 to ${path}` },
  ];
}

function ownCgroupNamespace(): Operation {
  return { syscall: 'unshare', arguments: [CLONE_NEWCGROUP], subject: 'CLONE_NEWCGROUP' };
}

function rlimitOperation(limit: Rlimit): Operation {
  return {
    syscall: 'prlimit64',
    arguments: [0, rlimitNumber(limit.name), { bytes: rlimitBytes(limit).toString('base64') }, 0],
    subject: `${limit.name} ${limit.soft}:${limit.hard}`,
  };
}

function joinNetwork(): Operation {
  return { syscall: 'setns', arguments: [{ result: 'netns.copy' }, CLONE_NEWNET], subject: 'the network namespace of the step' };
}

/** struct ifreq { char name[16]; short flags; }, netdevice(7) */
function loopbackUp(): Operation[] {
  const request = Buffer.alloc(40);
  request.write('lo', 'latin1');
  request.writeUInt16LE(IFF_UP, 16);
  return [
    { syscall: 'socket', arguments: [AF_INET, SOCK_DGRAM_CLOEXEC, 0], subject: 'AF_INET', as: 'lo' },
    {
      syscall: 'ioctl',
      arguments: [{ result: 'lo' }, SIOCSIFFLAGS, { bytes: request.toString('base64') }],
      subject: 'lo (SIOCSIFFLAGS up)',
    },
  ];
}

/** Through no magic link of /proc, and then verified: a working directory outside the root would be a way out (CVE-2024-21626). */
function workingDirectory(cwd: string): Operation[] {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_PATH | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_NO_MAGICLINKS_IN_ROOT), 16);
  return [
    {
      syscall: 'openat2',
      arguments: [AT_FDCWD, { text: cwd }, { bytes: how.toString('base64') }, how.length],
      subject: `the working directory ${cwd} (RESOLVE_IN_ROOT+NO_MAGICLINKS)`,
      as: 'cwd',
    },
    { syscall: 'fchdir', arguments: [{ result: 'cwd' }], subject: `to the working directory ${cwd}` },
    {
      syscall: 'getcwd',
      arguments: [{ space: PATH_BYTES_MAX }, PATH_BYTES_MAX],
      subject: `of ${cwd} (is it inside the container?)`,
      expect: { firstByte: '/'.charCodeAt(0) },
    },
  ];
}

function seccompOperations(filter: Uint8Array): Operation[] {
  const bytes = Buffer.from(filter).toString('base64');
  return [
    { syscall: 'seccomp', arguments: [SECCOMP_SET_MODE_FILTER, 0, { filter: bytes }], subject: 'filter (SECCOMP_SET_MODE_FILTER)' },
    {
      syscall: 'prctl',
      arguments: [PR_GET_SECCOMP, 0, 0, 0, 0],
      subject: 'PR_GET_SECCOMP (is the filter on?)',
      expect: { result: SECCOMP_MODE_FILTER },
    },
  ];
}

/** Bounding set, groups, ids, then the other sets; inheritable and ambient sets stay empty (CVE-2022-24769). */
function credentialOperations({ process, isolation, userNamespace, ...spec }: ContainerSpec): Operation[] {
  const { uid, gid, groups } = process;
  const capabilities = capabilitySet(spec.capabilities);
  const ids = userNamespace?.ids ?? 'all';
  const isKiller = isolation === 'chroot' && uid !== 0;
  const list = Buffer.alloc(groups.length * 4);
  groups.forEach((group, index) => {
    list.writeUInt32LE(group, index * 4);
  });
  return [
    ...boundingOperations(capabilities),
    { syscall: 'prctl', arguments: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], subject: 'PR_CAP_AMBIENT_CLEAR_ALL' },
    // With one id the kernel lets nobody change groups: they could be what keeps the user out of a file.
    ...(ids === 'all'
      ? [
          {
            syscall: 'setgroups',
            arguments: [groups.length, { bytes: list.toString('base64') }],
            subject: `[${groups.join(', ')}]`,
          } as const,
        ]
      : []),
    ...(isKiller ? [keepCapabilities()] : []),
    { syscall: 'setresgid', arguments: [gid, gid, gid], subject: String(gid) },
    { syscall: 'setresuid', arguments: [uid, uid, uid], subject: String(uid) },
    ...(isKiller ? killerOperations() : [capsetOperation(uid === 0 ? capabilities : 0n)]),
  ];
}

function keepCapabilities(): Operation {
  return { syscall: 'prctl', arguments: [PR_SET_KEEPCAPS, 1, 0, 0, 0], subject: 'PR_SET_KEEPCAPS' };
}

/** What an ordinary user's command starts may be root's, by a setuid program: the process that ends it all keeps the right to, beyond its exec. */
function killerOperations(): Operation[] {
  const kill = capabilitySet(['CAP_KILL']);
  return [
    capsetOperation(kill, kill),
    {
      syscall: 'prctl',
      arguments: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capabilityNumber('CAP_KILL'), 0, 0],
      subject: 'PR_CAP_AMBIENT_RAISE CAP_KILL',
    },
  ];
}

function boundingOperations(keep: bigint): Operation[] {
  const dropped = Array.from({ length: CAPABILITY_COUNT_MAX }, (_, number) => number).filter(
    (number) => ((keep >> BigInt(number)) & 1n) === 0n,
  );
  return dropped.map((number) => ({
    syscall: 'prctl',
    arguments: [PR_CAPBSET_DROP, number, 0, 0, 0],
    subject: `PR_CAPBSET_DROP ${number}`,
    ignore: [EINVAL],
  }));
}

/** struct __user_cap_header_struct and two __user_cap_data_struct, capset(2) */
function capsetOperation(set: bigint, inheritable = 0n): Operation {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const data = Buffer.alloc(24);
  for (const word of [0, 1]) {
    const bits = Number((set >> BigInt(32 * word)) & 0xffff_ffffn);
    data.writeUInt32LE(bits, word * 12);
    data.writeUInt32LE(bits, word * 12 + 4);
    data.writeUInt32LE(Number((inheritable >> BigInt(32 * word)) & 0xffff_ffffn), word * 12 + 8);
  }
  return {
    syscall: 'capset',
    arguments: [{ bytes: header.toString('base64') }, { bytes: data.toString('base64') }],
    subject: `effective and permitted ${set.toString(16).padStart(16, '0')}, inheritable ${inheritable === 0n ? 'none' : 'too'}`,
  };
}
