/** Limits of each process of a step, getrlimit(2): what the caller has, and what was asked for, never more than the caller has. */
import { readFileSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';

/** `RLIMIT_` and these in capitals; asm-generic/resource.h. */
const NUMBERS = {
  ...{ cpu: 0, fsize: 1, data: 2, stack: 3, core: 4, rss: 5, nproc: 6, nofile: 7, memlock: 8 },
  ...{ locks: 10, sigpending: 11, msgqueue: 12, nice: 13, rtprio: 14, rttime: 15 },
} as const;

export type RlimitName = keyof typeof NUMBERS;
export type RlimitValue = number | 'unlimited';

export interface Rlimit {
  readonly name: RlimitName;
  readonly soft: RlimitValue;
  readonly hard: RlimitValue;
}

/** /proc/PID/limits, by the name in its first column. */
const COLUMN_NAMES: Readonly<Record<RlimitName, string>> = {
  ...{ cpu: 'cpu time', fsize: 'file size', data: 'data size', stack: 'stack size', core: 'core file size', rss: 'resident set' },
  ...{ nproc: 'processes', nofile: 'open files', memlock: 'locked memory', locks: 'file locks', sigpending: 'pending signals' },
  ...{ msgqueue: 'msgqueue size', nice: 'nice priority', rtprio: 'realtime priority', rttime: 'realtime timeout' },
};

const INFINITY_BYTES = 0xffff_ffff_ffff_ffffn;

/** Throws USAGE. */
export function checkRlimits(rlimits: readonly Rlimit[]): void {
  for (const { name, soft, hard } of rlimits) {
    if (!Object.hasOwn(NUMBERS, name)) {
      throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(name)} as --ulimit: no such limit`, {
        hint: `Limits are ${Object.keys(NUMBERS).sort().join(', ')}.`,
      });
    }
    for (const value of [soft, hard]) {
      if (value === 'unlimited' || (Number.isSafeInteger(value) && value >= 0)) continue;
      throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(value)} as --ulimit ${name}: not a number, nor -1 for none`);
    }
    if (isAbove(soft, hard)) {
      throw new TsbuildError('USAGE', `Cannot use ${soft}:${hard} as --ulimit ${name}: the soft limit is above the hard one`);
    }
  }
}

/** What a step gets: `clamped` lists those that were asked for and are above this process's own hard limit, as they are now. */
export interface StepRlimits {
  readonly rlimits: readonly Rlimit[];
  readonly clamped: readonly Rlimit[];
}

/** `core`: `none` where nothing of the step's memory may come to lie on a disk. */
export function stepRlimits(asked: readonly Rlimit[], core: 'caller' | 'none'): StepRlimits {
  const own = ownLimits();
  const last = new Map<RlimitName, Rlimit>(callersOpenFiles(own));
  for (const limit of asked) last.set(limit.name, limit);
  // 1 rather than 0: only that keeps the kernel from handing the dump to a program, too. core(5), fs/coredump.c
  if (core === 'none') last.set('core', { name: 'core', soft: 1, hard: 1 });
  const clamped: Rlimit[] = [];
  const rlimits = [...last.values()].map((limit) => {
    const within = clamp(limit, own(limit.name)?.hard ?? limit.hard);
    if (within.hard !== limit.hard && limit.name !== 'core') clamped.push(within);
    return within;
  });
  return { rlimits, clamped };
}

export function rlimitNumber(name: RlimitName): number {
  return NUMBERS[name];
}

/** struct rlimit64 { u64 soft; u64 hard; } */
export function rlimitBytes({ soft, hard }: Rlimit): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(soft === 'unlimited' ? INFINITY_BYTES : BigInt(soft), 0);
  bytes.writeBigUInt64LE(hard === 'unlimited' ? INFINITY_BYTES : BigInt(hard), 8);
  return bytes;
}

/** One process's limits as the kernel prints them: `Max open files            1024                 524288               files`. */
export function parseLimits(text: string): (name: RlimitName) => Rlimit | undefined {
  return (name) => {
    const [, soft, hard] = new RegExp(`^Max ${COLUMN_NAMES[name]} +(\\d+|unlimited) +(\\d+|unlimited)`, 'm').exec(text) ?? [];
    return soft === undefined || hard === undefined ? undefined : { name, soft: rlimitValue(soft), hard: rlimitValue(hard) };
  };
}

function rlimitValue(text: string): RlimitValue {
  return text === 'unlimited' ? text : Number(text);
}

function ownLimits(): (name: RlimitName) => Rlimit | undefined {
  return parseLimits(readFileSync('/proc/self/limits', 'latin1'));
}

/**
 * Node raises its own soft limit of open files to the hard one when it starts; programs that close every possible descriptor,
 * or use select(2), want the one that the user has. It is still our parent's, if the hard limit says that both are of one kind.
 */
function callersOpenFiles(own: ReturnType<typeof ownLimits>): [RlimitName, Rlimit][] {
  const ours = own('nofile');
  const parents = parentLimits()?.('nofile');
  if (ours === undefined || parents === undefined || ours.hard !== parents.hard || ours.soft === parents.soft) return [];
  return isAbove(ours.soft, parents.soft) ? [['nofile', parents]] : [];
}

/** undefined where it is hidden, or in another PID namespace. */
function parentLimits(): ReturnType<typeof ownLimits> | undefined {
  try {
    return parseLimits(readFileSync(`/proc/${process.ppid}/limits`, 'latin1'));
  } catch {
    return undefined;
  }
}

function clamp({ name, soft, hard }: Rlimit, most: RlimitValue): Rlimit {
  return { name, soft: isAbove(soft, most) ? most : soft, hard: isAbove(hard, most) ? most : hard };
}

function isAbove(a: RlimitValue, b: RlimitValue): boolean {
  if (b === 'unlimited') return false;
  return a === 'unlimited' || a > b;
}
