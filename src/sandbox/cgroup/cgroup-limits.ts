/** What a container may use at most, and its translation to the files of a control group, version 1 or 2. Pure. */
import { TsbuildError } from '../../errors.ts';

/** Sizes in bytes, times in microseconds. */
export interface CgroupLimits {
  readonly memory?: number | undefined;
  /** Memory and swap together. By default twice the memory. */
  readonly memorySwap?: number | 'unlimited' | undefined;
  /** A part of the machine's CPUs, such as 1.5; the same as a quota of that times the period. */
  readonly cpus?: number | undefined;
  /** Weight against others, from 2 to 262144; 1024 is everybody's. */
  readonly cpuShares?: number | undefined;
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  /** Such as `0-3,5`. */
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** Processes and threads. */
  readonly pids?: number | undefined;
  /** A directory of the control groups' file system to make the container's in: from its root if it starts with a slash. */
  readonly cgroupParent?: string | undefined;
}

export type Controller = 'memory' | 'cpu' | 'cpuset' | 'pids';

/** One file to write. `optional`: nobody asked for it by name, so that a kernel without it will do. */
export interface Knob {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string;
  readonly optional?: boolean;
}

const MEMORY_MIN = 6 * 1024 * 1024;
const PERIOD_US = 100_000;
const PERIOD_US_MIN = 1000;
const PERIOD_US_MAX = 1_000_000;
const SHARES_MIN = 2;
const SHARES_MAX = 262_144;

/** Throws USAGE for what docker refuses, too. `machineCpus` is how many there are. */
export function checkCgroupLimits(limits: CgroupLimits, machineCpus: number): void {
  checkMemory(limits);
  checkCpu(limits, machineCpus);
  for (const [flag, list] of [
    ['cpuset-cpus', limits.cpusetCpus],
    ['cpuset-mems', limits.cpusetMems],
  ] as const) {
    if (list !== undefined && !/^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*$/.test(list))
      throw refused(flag, list, 'not a list such as 0-3,5');
  }
  if (limits.pids !== undefined && !(Number.isSafeInteger(limits.pids) && limits.pids > 0))
    throw refused('pids-limit', limits.pids, 'not a number above 0');
  checkParent(limits.cgroupParent);
}

function checkMemory({ memory, memorySwap }: CgroupLimits): void {
  if (memory !== undefined && !(Number.isSafeInteger(memory) && memory >= MEMORY_MIN)) {
    throw refused('memory', memory, 'the least that a program can start with is 6m');
  }
  if (memorySwap === undefined) return;
  if (memory === undefined) throw refused('memory-swap', memorySwap, 'it counts together with --memory, which is not given');
  if (memorySwap !== 'unlimited' && !(Number.isSafeInteger(memorySwap) && memorySwap >= memory)) {
    throw refused('memory-swap', memorySwap, 'it is memory and swap together, and so not less than --memory');
  }
}

function checkCpu({ cpus, cpuShares, cpuPeriod, cpuQuota }: CgroupLimits, machineCpus: number): void {
  if (cpus !== undefined) {
    if (cpuPeriod !== undefined || cpuQuota !== undefined) throw refused('cpus', cpus, 'it says the same as --cpu-period and --cpu-quota');
    if (!(cpus >= 0.01 && cpus <= machineCpus)) throw refused('cpus', cpus, `this machine has 0.01 to ${machineCpus}`);
  }
  if (cpuShares !== undefined && !(Number.isSafeInteger(cpuShares) && cpuShares >= SHARES_MIN && cpuShares <= SHARES_MAX)) {
    throw refused('cpu-shares', cpuShares, `not from ${SHARES_MIN} to ${SHARES_MAX}`);
  }
  if (cpuPeriod !== undefined && !(Number.isSafeInteger(cpuPeriod) && cpuPeriod >= PERIOD_US_MIN && cpuPeriod <= PERIOD_US_MAX)) {
    throw refused('cpu-period', cpuPeriod, 'not from 1000 to 1000000 microseconds');
  }
  if (cpuQuota !== undefined && !(Number.isSafeInteger(cpuQuota) && cpuQuota >= PERIOD_US_MIN)) {
    throw refused('cpu-quota', cpuQuota, 'less than 1000 microseconds');
  }
}

/** It becomes a path: no step upwards, no empty name, nothing that a terminal would obey. */
function checkParent(parent: string | undefined): void {
  if (parent === undefined) return;
  const names = parent.replace(/^\//, '').split('/');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  const isBad = names.some((name) => name === '' || name === '.' || name === '..' || name.length > 255 || /[\x00-\x1f\x7f]/.test(name));
  if (isBad || parent.length > 1024) throw refused('cgroup-parent', parent, 'not a path of directories');
}

function refused(flag: string, value: number | string, reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(String(value).slice(0, 100))} as --${flag}: ${reason}`);
}

/** Whether a container needs a control group of its own. */
export function isLimited({ cgroupParent, ...limits }: CgroupLimits): boolean {
  return cgroupParent !== undefined || Object.values(limits).some((value) => value !== undefined);
}

/** Kernel documentation, cgroup-v1/memory.rst, sched-bwc.rst, cpusets.rst, pids.rst. In the order in which they can be written. */
export function knobsOfV1(limits: CgroupLimits): Knob[] {
  const { memory, cpuShares, pids } = limits;
  const swap = swapTotal(limits);
  const quota = quotaOf(limits);
  return [
    ...(memory === undefined ? [] : [knob('memory', 'memory.limit_in_bytes', memory)]),
    ...(swap === undefined
      ? []
      : [
          { ...knob('memory', 'memory.memsw.limit_in_bytes', swap === 'unlimited' ? -1 : swap), optional: limits.memorySwap === undefined },
        ]),
    ...(cpuShares === undefined ? [] : [knob('cpu', 'cpu.shares', cpuShares)]),
    ...(quota.period === undefined ? [] : [knob('cpu', 'cpu.cfs_period_us', quota.period)]),
    ...(quota.quota === undefined ? [] : [knob('cpu', 'cpu.cfs_quota_us', quota.quota)]),
    ...cpusetKnobs(limits),
    ...(pids === undefined ? [] : [knob('pids', 'pids.max', pids)]),
  ];
}

/** Kernel documentation, admin-guide/cgroup-v2.rst. */
export function knobsOfV2(limits: CgroupLimits): Knob[] {
  const { memory, cpuShares, pids } = limits;
  const swap = swapTotal(limits);
  const { period = PERIOD_US, quota = 'max' } = quotaOf(limits);
  return [
    ...(memory === undefined ? [] : [knob('memory', 'memory.max', memory)]),
    ...(swap === undefined || memory === undefined
      ? []
      : [
          {
            ...knob('memory', 'memory.swap.max', swap === 'unlimited' ? 'max' : swap - memory),
            optional: limits.memorySwap === undefined,
          },
        ]),
    ...(cpuShares === undefined ? [] : [knob('cpu', 'cpu.weight', weightOfShares(cpuShares))]),
    ...(period === PERIOD_US && quota === 'max' ? [] : [knob('cpu', 'cpu.max', `${quota} ${period}`)]),
    ...cpusetKnobs(limits),
    ...(pids === undefined ? [] : [knob('pids', 'pids.max', pids)]),
  ];
}

/**
 * Version 1 counts weights from 2 to 262144 around 1024, version 2 from 1 to 10000 around 100. The curve through these three
 * points is the one that runtimes agree on: ten to the power of (l² + 125 l) / 612 − 7 / 34, where l is the shares' log2.
 */
export function weightOfShares(shares: number): number {
  const l = Math.log2(shares);
  return Math.min(10_000, Math.max(1, Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34) - 1e-9)));
}

export function swapTotal({ memory, memorySwap }: CgroupLimits): number | 'unlimited' | undefined {
  if (memorySwap !== undefined) return memorySwap;
  return memory === undefined ? undefined : memory * 2;
}

export function quotaOf({ cpus, cpuPeriod, cpuQuota }: CgroupLimits): { period?: number; quota?: number } {
  if (cpus !== undefined) return { period: PERIOD_US, quota: Math.round(cpus * PERIOD_US) };
  return { ...(cpuPeriod === undefined ? {} : { period: cpuPeriod }), ...(cpuQuota === undefined ? {} : { quota: cpuQuota }) };
}

function cpusetKnobs({ cpusetCpus, cpusetMems }: CgroupLimits): Knob[] {
  return [
    ...(cpusetCpus === undefined ? [] : [knob('cpuset', 'cpuset.cpus', cpusetCpus)]),
    ...(cpusetMems === undefined ? [] : [knob('cpuset', 'cpuset.mems', cpusetMems)]),
  ];
}

function knob(controller: Controller, file: string, value: number | string): Knob {
  return { controller, file, value: String(value) };
}
