/** The default seccomp filter of a step: what Docker's default profile does, as BPF of our own. */

import { inflateRawSync } from 'node:zlib';
import { unreachable } from '../../errors.ts';
import { ALLOWED_SYSCALLS_OF_CAPABILITY } from './allowed-syscalls-table.ts';
import {
  assemble,
  type BpfInstruction,
  DATA_ARCH,
  DATA_ARGUMENT_0_HIGH,
  DATA_ARGUMENT_0_LOW,
  DATA_NUMBER,
  give,
  jumpIfAnySet,
  jumpIfAtLeast,
  jumpIfEqual,
  load,
  SECCOMP_ALLOW,
  SECCOMP_ERRNO,
  SECCOMP_KILL_PROCESS,
  skip,
} from './bpf.ts';
import { BUILT_FILTERS } from './built-filters-table.ts';
import { type FilterOptions, type Segment, segmentsOf, type Verdict } from './rules.ts';

/** Values of AUDIT_ARCH_* (linux/audit.h). */
const AUDIT_ARCH = { x64: 0xc000003e, i386: 0x40000003, arm64: 0xc00000b7, arm: 0x40000028 } as const;

const EPERM = 1;
const ENOSYS = 38;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (linux/sched.h). */
const CLONE_NEW_NAMESPACES = 0x7e020000;
/** PER_LINUX, PER_LINUX32, either with UNAME26, and the question which it is (personality(2)). */
export const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff] as const;
/** AF_ALG and AF_VSOCK: the page-cache writes of the one and the reach of the other to the hypervisor. */
export const REFUSED_SOCKET_FAMILIES = [38, 40] as const;

/**
 * An array of struct sock_filter for seccomp(SECCOMP_SET_MODE_FILTER). First the architecture (the machine's and the
 * 32-bit one beside it; any other kills), then a binary search of the system call's number, about seven comparisons.
 * Refused is EPERM; clone3 and every number above the known ones is ENOSYS, so that a libc takes its older way.
 *
 * It differs from the public profile in one place, to be stricter: the family of socket(2) is compared as the 32 bits
 * that the kernel reads; a comparison of all 64 lets `socket(2**32 + AF_ALG)` through. What no filter can see is
 * socketcall(2) of i386 and arm, whose arguments are in memory.
 */
export function defaultFilter(arch: 'x64' | 'arm64', options: FilterOptions): Buffer {
  return isUsual(options) ? inflateRawSync(Buffer.from(BUILT_FILTERS[arch], 'base64')) : buildFilter(arch, options);
}

/** The same without the bytes that were built before: making them takes some 8 ms in a process that has just started. */
export function buildFilter(arch: 'x64' | 'arm64', options: FilterOptions): Buffer {
  const x64 = arch === 'x64';
  const native = searchTree(x64 ? [...segmentsOf('x86-64', options), ...segmentsOf('x32', options)] : segmentsOf('aarch64', options));
  const compat = searchTree(segmentsOf(x64 ? 'i386' : 'arm', options));
  return assemble([
    load(DATA_ARCH),
    jumpIfEqual(x64 ? AUDIT_ARCH.x64 : AUDIT_ARCH.arm64, 0, 1),
    skip(3),
    jumpIfEqual(x64 ? AUDIT_ARCH.i386 : AUDIT_ARCH.arm, 1, 0),
    give(SECCOMP_KILL_PROCESS),
    skip(1 + native.length),
    load(DATA_NUMBER),
    ...native,
    load(DATA_NUMBER),
    ...compat,
  ]);
}

/** Docker's 14 capabilities (of which CAP_SYS_CHROOT counts here) on a kernel that is not ancient: what nearly every step has. */
function isUsual({ capabilities, kernel }: FilterOptions): boolean {
  const counting = capabilities.filter((name) => Object.hasOwn(ALLOWED_SYSCALLS_OF_CAPABILITY, name));
  return kernel.major >= 5 && counting.every((name) => name === 'CAP_SYS_CHROOT') && counting.length > 0;
}

/** Halves the segments until one is left; A holds the number. The lower half lies right behind its comparison. */
function searchTree(segments: readonly Segment[]): BpfInstruction[] {
  const [first] = segments;
  if (first === undefined) {
    throw new Error('A search tree needs a segment');
  }
  if (segments.length === 1) {
    return leaf(first.verdict);
  }
  const middle = segments.length >> 1;
  const lower = searchTree(segments.slice(0, middle));
  const upper = searchTree(segments.slice(middle));
  const from = segments[middle]?.from ?? 0;
  const compare = lower.length <= 255 ? [jumpIfAtLeast(from, lower.length, 0)] : [jumpIfAtLeast(from, 0, 1), skip(lower.length)];
  return [...compare, ...lower, ...upper];
}

function leaf(verdict: Verdict): BpfInstruction[] {
  const refuse = give(SECCOMP_ERRNO | EPERM);
  switch (verdict) {
    case 'allow':
      return [give(SECCOMP_ALLOW)];
    case 'refuse':
      return [refuse];
    case 'absent':
      return [give(SECCOMP_ERRNO | ENOSYS)];
    case 'clone':
      return [load(DATA_ARGUMENT_0_LOW), jumpIfAnySet(CLONE_NEW_NAMESPACES, 1, 0), give(SECCOMP_ALLOW), refuse];
    case 'personality':
      return [
        load(DATA_ARGUMENT_0_HIGH),
        jumpIfEqual(0, 0, PERSONALITIES.length + 1),
        ...ifOneOf(PERSONALITIES, give(SECCOMP_ALLOW), refuse),
      ];
    case 'socket':
      return ifOneOf(REFUSED_SOCKET_FAMILIES, refuse, give(SECCOMP_ALLOW));
    default:
      return unreachable(verdict);
  }
}

/** Compares the low word of the first argument with each value; the instruction of the other case is the one before the last. */
function ifOneOf(values: readonly number[], then: BpfInstruction, otherwise: BpfInstruction): BpfInstruction[] {
  const compare = values.map((value, index) => jumpIfEqual(value, values.length - index, 0));
  return [load(DATA_ARGUMENT_0_LOW), ...compare, otherwise, then];
}
