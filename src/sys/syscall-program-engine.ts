/** The first interpreter of syscall programs: our machine code clones a child, which walks the table. Needs no process of node's. */
import type { TypeObject } from 'koffi';
import { SyscallError, TsbuildError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { canExecute, codeAddress } from './executable-code.ts';
import { koffi } from './libc.ts';
import { Memory } from './memory.ts';
import { dumpable, setDumpable } from './process.ts';
import { encodeProgram, type Operation } from './syscall-program.ts';
import type { Architecture } from './syscall-program-numbers.ts';

export interface CloneOptions {
  /** CLONE_NEW* flags. */
  readonly namespaces: number;
  /**
   * `share-memory` (CLONE_VM | CLONE_VFORK): the caller waits until the child has executed; cheapest. `copy-memory`: the
   * caller goes on at once, and can write the child's uid_map meanwhile.
   */
  readonly mode: 'share-memory' | 'copy-memory';
  /** The launching process's descriptors by role; the child has them under the same numbers. */
  readonly inputs: ReadonlyMap<string, number>;
  /** The descriptor for the struct message of a failed operation. */
  readonly statusFd: number;
}

const CLONE_VM = 0x100;
const CLONE_PIDFD = 0x1000;
const CLONE_VFORK = 0x4000;
const SIGCHLD = 17;
const CLONE_ARGS_BYTES = 88;
const HEADER_BYTES = 120;
const PIDFD_OFFSET = 112;
const STACK_BYTES = 32_768;
const ARENA_BYTES = 262_144;
const EPERM = 1;
const ENOSYS = 38;

let prototype: TypeObject | undefined;

/** Clones a child that walks `program` and returns its pidfd, which the caller waits for and closes. Throws a SyscallError. */
export function cloneProgram(program: readonly Operation[], options: CloneOptions): number {
  const architecture = process.arch as Architecture;
  using arena = arenaFor(program, options, architecture);
  // A child that shares our memory may become another user, and the kernel then marks that memory as not to be traced; which is
  // right while they share it, and nobody's business afterwards. capabilities(7), ptrace(2)
  const before = dumpable();
  const pid = Number(koffi().call(codeAddress('launch'), launchPrototype(), arena.address));
  if (before === 1 && dumpable() !== 1) setDumpable(before);
  if (pid < 0) throw cloneError(-pid, options.namespaces);
  return arena.read(PIDFD_OFFSET, 4).readInt32LE(0);
}

/** A mapping that holds the header, the program and the child's stack, filled. Untouched pages of it cost nothing. */
function arenaFor(program: readonly Operation[], options: CloneOptions, architecture: Architecture): Memory {
  for (let size = ARENA_BYTES; ; size *= 4) {
    const arena = new Memory(size);
    const { operations, data } = encodeProgram(program, {
      address: arena.address + BigInt(HEADER_BYTES),
      architecture,
      inputs: options.inputs,
    });
    if (HEADER_BYTES + operations.length + data.length + STACK_BYTES > size) {
      arena[Symbol.dispose]();
      continue;
    }
    arena.write(0, header(program.length, options, arena));
    arena.write(HEADER_BYTES, Buffer.concat([operations, data]));
    return arena;
  }
}

/** Whether the machine code can run here. */
export function engineAvailable(): boolean {
  return canExecute('launch');
}

function launchPrototype(): TypeObject {
  prototype ??= koffi().proto('long', ['uintptr_t']);
  return prototype;
}

/** struct program without its operations; starts with struct clone_args, clone(2). */
function header(count: number, options: CloneOptions, arena: Memory): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const shared = options.mode === 'share-memory';
  const flags = BigInt(options.namespaces >>> 0) | BigInt(CLONE_PIDFD | (shared ? CLONE_VM | CLONE_VFORK : 0));
  const stackTop = arena.address + BigInt(arena.size);
  bytes.writeBigUInt64LE(flags, 0);
  bytes.writeBigUInt64LE(arena.address + BigInt(PIDFD_OFFSET), 8);
  bytes.writeBigUInt64LE(BigInt(SIGCHLD), 32);
  bytes.writeBigUInt64LE(stackTop - BigInt(STACK_BYTES), 40);
  bytes.writeBigUInt64LE(BigInt(STACK_BYTES), 48);
  bytes.writeBigInt64LE(BigInt(CLONE_ARGS_BYTES), 88);
  bytes.writeBigInt64LE(BigInt(count), 96);
  bytes.writeBigInt64LE(BigInt(options.statusFd), 104);
  bytes.writeInt32LE(-1, PIDFD_OFFSET);
  return bytes;
}

/** What a container has to be given, so that steps can be isolated in it. */
export const CONTAINER_HINT =
  'Run tsbuild as root. Inside a container, give that container the options --security-opt seccomp=unconfined --security-opt apparmor=unconfined ' +
  '(and, so that each step has a /proc of its own, --security-opt systempaths=unconfined), or --privileged. ' +
  'Where none of that can be had, build --isolation=chroot runs steps with less isolation, and says with how little.';

/** Why a process in new namespaces could not be made, for clone3 and for unshare. */
export function cloneError(errno: number, namespaces: number): TsbuildError {
  const cause = new SyscallError('clone3', `a process (flags 0x${namespaces.toString(16)})`, errnoName(errno));
  if (errno === EPERM) {
    const message = 'Cannot isolate a RUN step: this process may make no namespaces, for it lacks CAP_SYS_ADMIN';
    return new TsbuildError('PRIVILEGE', message, { hint: CONTAINER_HINT, cause });
  }
  if (errno !== ENOSYS) return cause;
  // Docker's profile says of calls with namespaces that there are no such calls.
  const message = 'Cannot isolate a RUN step: something above this process forbids clone3 (a seccomp profile), or Linux is older than 5.5';
  return new TsbuildError('PRIVILEGE', message, { hint: CONTAINER_HINT, cause });
}
