/** Flags that limit what a step or a container may use, as docker spells and reads them. */
import { TsbuildError } from '../errors.ts';
import type { ResourceLimits } from '../index.ts';
import { parseSize } from '../text/quantities.ts';
import type { FlagSpec } from './command-table.ts';
import { csvFields } from './csv-flags.ts';

export interface ResourceFlags {
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpus?: string;
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: string;
  readonly ulimit?: readonly string[];
  readonly shmSize?: string;
  readonly cgroupParent?: string;
  readonly resource?: readonly string[];
}

/** `whose`: such as `every RUN`. */
export function resourceFlags(whose: string): FlagSpec[] {
  return [
    { flags: '-m, --memory <bytes>', description: `most memory of ${whose}, such as 512m` },
    { flags: '--memory-swap <bytes>', description: 'most memory and swap together; -1 is no limit (default: twice the memory)' },
    { flags: '--cpus <number>', description: `most CPUs of ${whose}, such as 1.5` },
    { flags: '-c, --cpu-shares <weight>', description: 'CPU time beside others, who have 1024' },
    { flags: '--cpu-period <us>', description: 'period of --cpu-quota (default: 100000)' },
    { flags: '--cpu-quota <us>', description: 'most CPU time in a period' },
    { flags: '--cpuset-cpus <list>', description: 'CPUs to run on, such as 0-3,5' },
    { flags: '--cpuset-mems <list>', description: 'memory nodes to use, such as 0' },
    { flags: '--pids-limit <number>', description: `most processes and threads of ${whose}` },
    { flags: '--ulimit <name=soft:hard>', description: `limit of each process of ${whose}, such as nofile=1024:4096`, kind: 'repeatable' },
    { flags: '--shm-size <bytes>', description: 'size of /dev/shm (default: 64m)' },
    { flags: '--cgroup-parent <path>', description: 'control group to make the group with these limits in' },
  ];
}

/** Names of `--resource` → the flag that says the same. */
const RESOURCES: ReadonlyMap<string, Exclude<keyof ResourceFlags, 'ulimit' | 'resource'>> = new Map([
  ['memory', 'memory'],
  ['memory-swap', 'memorySwap'],
  ['cpu-shares', 'cpuShares'],
  ['cpu-period', 'cpuPeriod'],
  ['cpu-quota', 'cpuQuota'],
  ['cpuset-cpus', 'cpusetCpus'],
  ['cpuset-mems', 'cpusetMems'],
]);

/** Throws USAGE for what is no number or size; what fits together and the machine is checked by those who use it. */
export function limitsOf(given: ResourceFlags): ResourceLimits {
  const flags = withResources(given);
  return {
    memory: sizeOf('memory', flags.memory),
    memorySwap: flags.memorySwap === '-1' ? 'unlimited' : sizeOf('memory-swap', flags.memorySwap),
    cpus: cpusOf(flags.cpus),
    cpuShares: numberOf('cpu-shares', flags.cpuShares),
    cpuPeriod: numberOf('cpu-period', flags.cpuPeriod),
    cpuQuota: flags.cpuQuota === '-1' ? undefined : numberOf('cpu-quota', flags.cpuQuota),
    cpusetCpus: flags.cpusetCpus,
    cpusetMems: flags.cpusetMems,
    pids: flags.pidsLimit === '-1' ? undefined : numberOf('pids-limit', flags.pidsLimit),
    cgroupParent: flags.cgroupParent,
    shmSize: sizeOf('shm-size', flags.shmSize),
    ulimits: (flags.ulimit ?? []).map(ulimitOf),
  };
}

/** `--resource memory=1g,cpu-shares=512`; a flag of its own wins. */
function withResources(flags: ResourceFlags): ResourceFlags {
  const found: { -readonly [name in Exclude<keyof ResourceFlags, 'ulimit' | 'resource'>]?: string } = {};
  for (const word of flags.resource ?? []) {
    for (const [name, value] of csvFields('--resource', word)) {
      const flag = RESOURCES.get(name);
      if (flag === undefined || value === undefined) {
        throw refused(
          'resource',
          word,
          `${JSON.stringify(name)} is not one of ${[...RESOURCES.keys()].map((key) => `${key}=`).join(', ')}`,
        );
      }
      found[flag] = value;
    }
  }
  return { ...found, ...flags };
}

/** Bytes, or with a unit of 1024: `64m`, `1.5GiB`. `0` is as good as nothing. */
export function sizeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes === undefined) throw refused(flag, text, 'not a size such as 512m or 2g');
  return bytes === 0 ? undefined : bytes;
}

/** `0` is docker's word for no limit. */
function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '0') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw refused(flag, text, 'not a whole number');
  return Number(text);
}

function cpusOf(text: string | undefined): number | undefined {
  if (text === undefined || /^0+(?:\.0*)?$/.test(text)) return undefined;
  if (!/^(?:\d{1,5}(?:\.\d{0,9})?|\.\d{1,9})$/.test(text)) throw refused('cpus', text, 'not a number such as 1.5');
  return Number(text);
}

/** `name=soft[:hard]`; -1 is no limit. Whether there is such a limit is asked later. */
function ulimitOf(text: string): { name: string; soft: number | 'unlimited'; hard: number | 'unlimited' } {
  const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text) ?? [];
  if (name === '') throw refused('ulimit', text, 'not name=soft or name=soft:hard, in numbers');
  const value = (digits: string): number | 'unlimited' => (digits === '-1' ? 'unlimited' : Number(digits));
  return { name, soft: value(soft), hard: value(hard) };
}

function refused(flag: string, text: string, reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 200))} as --${flag}: ${reason}`);
}
