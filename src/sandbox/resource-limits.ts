/** All that a caller can limit of a container, checked before anything runs. */
import { availableParallelism, cpus } from 'node:os';
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type CgroupLimits, checkCgroupLimits } from './cgroup/cgroup-limits.ts';
import { checkRlimits, type Rlimit, type RlimitName, type RlimitValue, stepRlimits } from './rlimits.ts';

/** Sizes in bytes. */
export interface ResourceLimits extends CgroupLimits {
  /** Size of /dev/shm; by default 64 MiB. */
  readonly shmSize?: number | undefined;
  /** Limits of each process, by the names of getrlimit(2) without `RLIMIT_` in small letters. */
  readonly ulimits?: readonly { readonly name: string; readonly soft: RlimitValue; readonly hard: RlimitValue }[] | undefined;
}

/** The same limits by the part of the container that keeps them. */
export interface ContainerResources {
  readonly cgroup: CgroupLimits;
  readonly ulimits: readonly Rlimit[];
  readonly shmBytes: number | undefined;
}

/** Says of each limit that this process may not give as it was asked for what it will be. */
export function warnOfLowered({ ulimits }: ContainerResources, emit: Emit): void {
  for (const { name, soft, hard } of stepRlimits(ulimits, 'caller').clamped) {
    const hint = 'Start tsbuild with a higher limit.';
    emit({ kind: 'warning', message: `--ulimit ${name} is ${soft}:${hard}, since tsbuild itself has no more`, hint });
  }
}

/** Throws USAGE. */
export function checkedLimits({ shmSize, ulimits = [], ...cgroup }: ResourceLimits = {}): ContainerResources {
  checkCgroupLimits(cgroup, Math.max(availableParallelism(), cpus().length));
  const rlimits = ulimits.map(({ name, ...values }) => ({ name: name as RlimitName, ...values }));
  checkRlimits(rlimits);
  if (shmSize !== undefined && !(Number.isSafeInteger(shmSize) && shmSize > 0)) {
    throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(shmSize)} as --shm-size: not a number of bytes above 0`);
  }
  return { cgroup, ulimits: rlimits, shmBytes: shmSize };
}
