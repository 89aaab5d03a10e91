/** One RUN in isolation: ContainerSpec → a command that has ended, and nothing left of its container. */
import { closeSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants, release } from 'node:os';
import { SyscallError, TsbuildError } from '../errors.ts';
import { errnoName } from '../sys/errno.ts';
import { MACHINE_CODE } from '../sys/native/machine-code.ts';
import { makeSealedExecutable, makeSocketPair } from '../sys/pipe.ts';
import { signalName } from '../sys/process.ts';
import type { Operation } from '../sys/syscall-program.ts';
import { CONTAINER_HINT, cloneError } from '../sys/syscall-program-engine.ts';
import type { Architecture } from '../sys/syscall-program-numbers.ts';
import type { CgroupMaker, StepCgroup } from './cgroup/step-cgroup.ts';
import { chrootRefused } from './chroot-isolation.ts';
import { type ContainerProgram, containerProgram, hasPidNamespace } from './container-program.ts';
import type { ContainerSpec } from './container-spec.ts';
import { chooseLauncher, type Launch, type Launcher } from './launcher.ts';
import type { NetworkPool, StepNetwork } from './network/network-pool.ts';
import { type Orphans, takeOrphans } from './orphans.ts';
import { watchMemory } from './out-of-memory.ts';
import { defaultFilter } from './seccomp/default-filter.ts';
import { decodeMessages, type StatusMessage } from './status-message.ts';
import { type OutputStream, openStepStdio } from './step-stdio.ts';
import { openTerminalStdio, type TerminalResizes } from './terminal-stdio.ts';

/** How the command ended; exactly one is set. `signal` is a name such as `SIGKILL`. */
export interface ContainerExit {
  readonly exitCode?: number;
  readonly signal?: string;
  /** The kernel killed a process of the container for want of memory, which the command may have survived: its own limit, or the machine's. */
  readonly outOfMemory?: 'limit' | 'machine';
}

export interface ContainerIo {
  /** `inherit` copies this process's standard input to the step through a pipe, or to its terminal. */
  readonly stdin: 'empty' | 'inherit';
  /** Where the spec gives the command a terminal: tells how its size changes. What comes out of it is `stdout`. */
  readonly resizes?: TerminalResizes | undefined;
  /** Called in order per stream, with bytes as they come. */
  onOutput(stream: OutputStream, data: Uint8Array): void;
  /** Kills the container. */
  readonly signal: AbortSignal;
  /** Asked once where the network of the spec is private. */
  readonly networks: Pick<NetworkPool, 'take'>;
  /** Asked where the spec has limits. */
  readonly cgroups?: CgroupMaker;
  /** /etc/resolv.conf for the host's network; a private one brings its own. */
  readonly resolvConf?: string;
  /** The user namespace that the spec's mapped ids are of: a descriptor. */
  readonly userNamespace?: number | undefined;
  /** Called as soon as the container is being made, with the way to reach its command. */
  onStart?(command: RunningCommand): void;
  /** Called when the command itself has been executed; never where it cannot be. */
  onStarted?(): void;
  /** For tests; otherwise the engine or, where that cannot run, the helper. */
  readonly launcher?: Launcher;
}

/** The command of a container that runs, or is about to. */
export interface RunningCommand {
  /**
   * Sends a signal to the command, or to its process group, once PID 1 has started it. One that has ended already is no error.
   * SIGKILL to the command is its end, and so the container's.
   */
  signal(name: NodeJS.Signals, to?: 'command' | 'group'): void;
}

/** Added to a signal's number for the whole process group: native/init.c. */
const GROUP = 128;
/** How long output may go on after every process of the container has ended. */
const DRAIN_MS = 1000;
const EPERM = 1;
const ENOENT = 2;
const E2BIG = 7;
const EINVAL = 22;
const ENOSYS = 38;

/**
 * Runs the command of `spec` in a fresh container and waits until every process of it is gone. Throws RUN_NOT_STARTED if the
 * command cannot be executed (a shell would say 127), PRIVILEGE, UNSUPPORTED_KERNEL, a SyscallError, or the signal's reason.
 */
export async function runContainer(spec: ContainerSpec, io: ContainerIo): Promise<ContainerExit> {
  io.signal.throwIfAborted();
  const launcher = io.launcher ?? (await chooseLauncher());
  const cgroup = makeCgroup(spec, io);
  try {
    return await runInCgroup(spec, io, { launcher, cgroup });
  } finally {
    await cgroup?.remove();
  }
}

/** Throws LIMIT_UNAVAILABLE. */
function makeCgroup({ limits }: ContainerSpec, { cgroups }: ContainerIo): StepCgroup | undefined {
  if (limits === undefined) return undefined;
  if (cgroups === undefined) throw new Error('Limits without anything that makes control groups');
  return cgroups.make(limits);
}

interface Surroundings {
  readonly launcher: Launcher;
  readonly cgroup: StepCgroup | undefined;
}

async function runInCgroup(spec: ContainerSpec, io: ContainerIo, { launcher, cgroup }: Surroundings): Promise<ContainerExit> {
  const network = spec.network === 'private' ? await io.networks.take() : undefined;
  try {
    io.signal.throwIfAborted();
    const program = containerProgram(spec, {
      resolvConf: network?.resolvConf ?? io.resolvConf ?? '',
      filter: spec.seccomp === 'default' ? seccompFilter(spec.capabilities) : new Uint8Array(),
      // Where the step has no device of its own, a pipe that has ended takes its place.
      stdin: io.stdin === 'empty' && spec.isolation !== 'chroot' ? 'empty' : 'pipe',
      cgroups: cgroup?.join ?? [],
    });
    const memory = watchMemory(cgroup);
    using orphans = orphansOf(spec);
    const end = await launchAndWait({ program, launcher, network }, io).finally(async () => await orphans?.end());
    return memory.explain(exitOf(end, program.operations, spec));
  } finally {
    network?.release();
  }
}

function orphansOf({ isolation, process, rootfs }: ContainerSpec): Orphans | undefined {
  if (isolation !== 'chroot' || !('directory' in rootfs)) return undefined;
  return takeOrphans({ directory: rootfs.directory, uid: process.uid });
}

interface Start {
  readonly program: ContainerProgram;
  readonly launcher: Launcher;
  readonly network: StepNetwork | undefined;
}

/** The first message that tells an end; none if PID 1 itself was killed. */
async function launchAndWait({ program, launcher, network }: Start, io: ContainerIo): Promise<StatusMessage | undefined> {
  const { hasTerminal } = program;
  const stdin = io.stdin === 'empty' && !hasPidNamespace(program) ? 'ended' : io.stdin;
  const stdio = hasTerminal ? openTerminalStdio(io) : openStepStdio(stdin, (stream, data) => io.onOutput(stream, data));
  const status = openStatus();
  const onAbort = () => (hasPidNamespace(program) ? launch?.kill() : status.close());
  let launch: Launch | undefined;
  try {
    const inputs = new Map<string, number>([...stdio.inputs, ['status', status.theirs], ['init', initExecutable()]]);
    if (network !== undefined) inputs.set('netns', network.netnsFd);
    if (io.userNamespace !== undefined) inputs.set('userns', io.userNamespace);
    launch = launcher(program, inputs);
    io.signal.addEventListener('abort', onAbort, { once: true });
    stdio.releaseInputs();
    stdio.started();
    status.follow(launch, () => io.onStarted?.());
    io.onStart?.({ signal: (name, to = 'command') => status.send(constants.signals[name] + (to === 'group' ? GROUP : 0)) });
    await launch.ended;
    await Promise.all([stdio.drain(DRAIN_MS), status.ended]);
    io.signal.throwIfAborted();
    return status.end();
  } finally {
    io.signal.removeEventListener('abort', onAbort);
    stdio.close();
    status.close();
  }
}

interface Status {
  /** The container's end of the socket. */
  readonly theirs: number;
  readonly ended: Promise<void>;
  /** Starts reading; closes our copy of the container's end. */
  follow(launch: Launch, onStarted: () => void): void;
  /** One byte to PID 1. */
  send(byte: number): void;
  end(): StatusMessage | undefined;
  close(): void;
}

function openStatus(): Status {
  const pair = makeSocketPair();
  const socket = new Socket({ fd: pair.ours, readable: true, writable: true });
  let theirs: number | undefined = pair.theirs;
  let pending = Buffer.alloc(0);
  const messages: StatusMessage[] = [];
  const release = () => {
    if (theirs !== undefined) closeSync(theirs);
    theirs = undefined;
  };
  return {
    theirs: pair.theirs,
    ended: new Promise((resolve) => socket.once('close', () => resolve())),
    follow(launch, onStarted) {
      release();
      socket.on('error', () => undefined); // ECONNRESET where PID 1 was killed: 'close' follows
      socket.on('data', (chunk: Buffer) => {
        pending = Buffer.concat([pending, chunk]);
        const whole = decodeMessages(pending);
        pending = pending.subarray(whole.length * 12);
        messages.push(...whole);
        for (const message of whole) {
          if (message.kind === 'started' && !messages.some(({ kind }) => kind === 'not started')) onStarted();
          if (message.kind === 'child') launch.adopt(message.pid);
          if (message.kind === 'operation failed') launch.kill();
        }
      });
    },
    send(byte) {
      if (!socket.destroyed) socket.write(Buffer.of(byte));
    },
    end: () => messages.find(tellsEnd),
    close() {
      release();
      socket.destroy();
    },
  };
}

function tellsEnd({ kind }: StatusMessage): boolean {
  return kind !== 'child' && kind !== 'started';
}

function exitOf(end: StatusMessage | undefined, operations: readonly Operation[], spec: ContainerSpec): ContainerExit {
  if (end === undefined) return { signal: 'SIGKILL' };
  switch (end.kind) {
    case 'exited':
      return { exitCode: end.exitCode };
    case 'killed':
      return { signal: signalName(end.signal) };
    case 'not started':
      throw notStarted(spec, end.errno);
    case 'operation failed':
      if (end.errno === E2BIG && operations[end.index]?.syscall === 'execveat') throw notStarted(spec, E2BIG);
      throw operationFailed(operations[end.index], end.errno);
    case 'child':
    case 'started':
      throw new Error(`Not an end: ${end.kind}`);
  }
}

function notStarted({ process }: ContainerSpec, errno: number): TsbuildError {
  const name = process.argv[0] ?? '';
  const missing = name.includes('/') ? 'no such file, or its interpreter is missing' : 'not found in PATH of the step';
  const tooLong = 'its arguments and environment are longer than the kernel takes (E2BIG)';
  const reason = errno === ENOENT ? missing : errno === E2BIG ? tooLong : errnoName(errno);
  const hint = errno === ENOENT ? { hint: 'Install it in an earlier step, or start FROM an image that has it.' } : {};
  const cause = new SyscallError('execve', name, errnoName(errno));
  return new TsbuildError('RUN_NOT_STARTED', `Cannot start ${JSON.stringify(name.slice(0, 200))}: ${reason}`, { ...hint, cause });
}

/** No operation: the helper could not make the namespaces. */
function operationFailed(operation: Operation | undefined, errno: number): TsbuildError {
  if (operation === undefined) return cloneError(errno, 0);
  const cause = new SyscallError(operation.syscall, operation.subject, errnoName(errno));
  if (errno === EINVAL && operation.syscall === 'mount_setattr' && operation.subject.endsWith('idmap)')) {
    const message = `Cannot map the ids of a step: the file system of ${operation.subject} shows no files under other owners`;
    const hint = 'Use ext4, xfs or btrfs (Linux 5.19 or later), or leave --userns=auto out.';
    return new TsbuildError('UNSUPPORTED_KERNEL', message, { hint, cause });
  }
  if (errno === EPERM && operation.syscall === 'chroot') return chrootRefused(['CAP_SYS_CHROOT'], cause);
  if (errno === EPERM && isFiltered()) {
    const message = `Cannot isolate a RUN step: ${operation.syscall} is refused (${operation.subject}), as seccomp profiles of containers do`;
    return new TsbuildError('PRIVILEGE', message, { hint: CONTAINER_HINT, cause });
  }
  if (errno !== ENOSYS) return cause;
  const message = `Cannot isolate a RUN step: Linux ${release()} lacks ${operation.syscall}, or something forbids it`;
  return new TsbuildError('UNSUPPORTED_KERNEL', message, { hint: 'tsbuild needs Linux 5.12 or later.', cause });
}

/** Whether there is a seccomp filter over tsbuild itself: proc(5). */
function isFiltered(): boolean {
  return /^Seccomp:\s*2$/m.test(readFileSync('/proc/self/status', 'latin1'));
}

const filters = new Map<string, Uint8Array>();

function seccompFilter(capabilities: readonly string[]): Uint8Array {
  const key = capabilities.join();
  const known = filters.get(key);
  if (known !== undefined) return known;
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const filter = defaultFilter(process.arch as Architecture, { capabilities, kernel: { major, minor } });
  filters.set(key, filter);
  return filter;
}

let init: number | undefined;

/** PID 1's file, made once per process and sealed. */
function initExecutable(): number {
  init ??= makeSealedExecutable('tsbuild-init', Buffer.from(MACHINE_CODE[process.arch as Architecture].init, 'base64'));
  return init;
}
