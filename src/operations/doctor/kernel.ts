/** The kernel's version, and the calls that a container is made of. */
import { release } from 'node:os';
import { PROBED_CALLS, refusedCall } from '../../sys/try-program.ts';
import type { Finding } from './finding.ts';

export interface KernelFacts {
  /** As `uname -r` has it. */
  readonly release: string;
  /** Call → errno, of those that this process may not make. */
  readonly refused: ReadonlyMap<string, string>;
}

/** mount_setattr(2), and nf_tables tables with an owner. */
const OLDEST = [5, 12] as const;

export function readKernelFacts(): KernelFacts {
  const refused = PROBED_CALLS.map((name) => [name, refusedCall(name)] as const);
  return { release: release(), refused: new Map(refused.flatMap(([name, errno]) => (errno === undefined ? [] : [[name, errno]]))) };
}

export function kernelFindings(facts: KernelFacts): Finding[] {
  return [versionFinding(facts.release), callsFinding(facts.refused)];
}

function versionFinding(found: string): Finding {
  const about = { group: 'kernel', id: 'kernel.version', title: 'Linux', found } as const;
  if (!isSince(found, OLDEST)) {
    return {
      ...about,
      state: 'missing',
      means: `steps cannot be isolated: mount_setattr needs Linux ${OLDEST.join('.')}`,
      fix: 'Boot a newer kernel.',
    };
  }
  return { ...about, state: 'ok' };
}

function callsFinding(refused: ReadonlyMap<string, string>): Finding {
  const about = { group: 'kernel', id: 'kernel.calls', title: 'system calls' } as const;
  if (refused.size === 0) return { ...about, state: 'ok', found: PROBED_CALLS.join(', ') };
  return {
    ...about,
    state: 'missing',
    found: [...refused].map(([name, errno]) => `${name}: ${errno}`).join(', '),
    means: 'steps cannot be started: the kernel is too old, or the seccomp filter of a container refuses these calls',
    fix: 'Inside Docker: docker run --security-opt seccomp=unconfined; otherwise boot a newer kernel.',
  };
}

/** Whether `release` is that version of Linux or a later one. */
export function isSince(found: string, [major, minor]: readonly [number, number]): boolean {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(found) ?? [];
  const version = [Number(a ?? 0), Number(b ?? 0)] as const;
  return version[0] > major || (version[0] === major && version[1] >= minor);
}
