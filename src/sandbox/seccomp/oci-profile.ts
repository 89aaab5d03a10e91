/** The default profile as the OCI runtime specification writes it: config-linux.md, "Seccomp". Pure. */

import { unreachable } from '../../errors.ts';
import { PERSONALITIES, REFUSED_SOCKET_FAMILIES } from './default-filter.ts';
import { type FilterOptions, namedVerdicts, type Verdict } from './rules.ts';

export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly OciSyscalls[];
}

export interface OciSyscalls {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  /** All of them hold. */
  readonly args?: readonly OciArgument[];
}

interface OciArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

const ARCHITECTURES = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
} as const;

const ALLOW = 'SCMP_ACT_ALLOW';
const ERRNO = 'SCMP_ACT_ERRNO';
const EPERM = 1;
const ENOSYS = 38;
const CLONE_NEW_NAMESPACES = 0x7e020000;
/** AF_MAX, sys/socket.h */
const SOCKET_FAMILIES = 46;
const LOW_WORD = 0xffff_ffff;

/**
 * The same verdicts as `defaultFilter`. A runtime gives ENOSYS for calls that are newer than its profile by itself. The families of
 * socket(2) are listed one by one, as the 32 bits that the kernel reads: a comparison of all 64 could be got around.
 */
export function ociSeccomp(arch: 'x64' | 'arm64', options: FilterOptions): OciSeccomp {
  const verdicts = [...namedVerdicts(arch === 'x64' ? 'x86-64' : 'aarch64', options)];
  const named = (verdict: Verdict): string[] => verdicts.flatMap(([name, each]) => (each === verdict ? [name] : [])).sort();
  return {
    ...{ defaultAction: ERRNO, defaultErrnoRet: EPERM, architectures: ARCHITECTURES[arch] },
    syscalls: (['allow', 'absent', 'clone', 'personality', 'socket'] as const).flatMap((verdict) => rulesOf(verdict, named(verdict))),
  };
}

function rulesOf(verdict: Exclude<Verdict, 'refuse'>, names: readonly string[]): OciSyscalls[] {
  if (names.length === 0) return [];
  switch (verdict) {
    case 'allow':
      return [{ names, action: ALLOW }];
    case 'absent':
      return [{ names, action: ERRNO, errnoRet: ENOSYS }];
    case 'clone':
      return [{ names, action: ALLOW, args: [masked(CLONE_NEW_NAMESPACES, 0)] }];
    case 'personality':
      return PERSONALITIES.map((value) => ({ names, action: ALLOW, args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] }));
    case 'socket':
      return families().map((family) => ({ names, action: ALLOW, args: [masked(LOW_WORD, family)] }));
    default:
      return unreachable(verdict);
  }
}

function masked(mask: number, value: number): OciArgument {
  return { index: 0, value: mask, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' };
}

function families(): number[] {
  const refused: readonly number[] = REFUSED_SOCKET_FAMILIES;
  return Array.from({ length: SOCKET_FAMILIES }, (_, family) => family).filter((family) => !refused.includes(family));
}
