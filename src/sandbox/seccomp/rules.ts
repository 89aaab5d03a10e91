/** The default profile applied to one ABI: which verdict each system call number gets. */
import {
  ALLOWED_SYSCALLS,
  ALLOWED_SYSCALLS_OF_ARCH,
  ALLOWED_SYSCALLS_OF_CAPABILITY,
  ALLOWED_SYSCALLS_SINCE_4_8,
} from './allowed-syscalls-table.ts';
import { type Abi, ARM_PRIVATE_BASE, syscallNumbers, X32_BIT } from './syscall-numbers.ts';

/** `refuse` is EPERM, `absent` ENOSYS; the last three look at the first argument. */
export type Verdict = 'allow' | 'refuse' | 'absent' | 'clone' | 'personality' | 'socket';

export interface FilterOptions {
  /** Names of the bounding set, such as `CAP_CHOWN`: some open further system calls. */
  readonly capabilities: readonly string[];
  /** The running kernel: ptrace is allowed since 4.8 only. */
  readonly kernel: { readonly major: number; readonly minor: number };
}

/** The numbers from `from` on, until the next segment starts. */
export interface Segment {
  readonly from: number;
  readonly verdict: Verdict;
}

/**
 * The numbers of one ABI as segments, the first from 0 (x32: from its bit) and the last without end. A number above the
 * largest one that a rule names is `absent`: to a libc that tries a newer system call first, EPERM would be an error
 * and ENOSYS says to try the older one.
 */
export function segmentsOf(abi: Abi, options: FilterOptions): Segment[] {
  const numbers = syscallNumbers(abi);
  const verdicts = new Map<number, Verdict>();
  for (const [name, verdict] of namedVerdicts(abi, options)) {
    const number = numbers.get(name);
    if (number !== undefined) {
      verdicts.set(number, verdict);
    }
  }
  return mergeSegments(abi === 'x32' ? X32_BIT : 0, verdicts);
}

/** What a rule says of each name; a name that no rule has is refused. */
export function namedVerdicts(abi: Abi, options: FilterOptions): ReadonlyMap<string, Verdict> {
  const { capabilities, kernel } = options;
  const verdicts = new Map<string, Verdict>([
    ['clone', 'clone'],
    ['clone3', 'absent'],
    ['personality', 'personality'],
    ['socket', 'socket'],
  ]);
  const allow = (names: string): void => {
    for (const name of names.trim().split(/\s+/)) {
      verdicts.set(name, 'allow');
    }
  };
  allow(ALLOWED_SYSCALLS);
  allow(ALLOWED_SYSCALLS_OF_ARCH[abi === 'aarch64' || abi === 'arm' ? 'arm64' : 'x64']);
  if (kernel.major > 4 || (kernel.major === 4 && kernel.minor >= 8)) {
    allow(ALLOWED_SYSCALLS_SINCE_4_8);
  }
  for (const capability of capabilities) {
    if (Object.hasOwn(ALLOWED_SYSCALLS_OF_CAPABILITY, capability)) {
      allow(ALLOWED_SYSCALLS_OF_CAPABILITY[capability] ?? '');
    }
  }
  return verdicts;
}

/** Verdicts of single numbers → the fewest segments that say the same. */
function mergeSegments(start: number, verdicts: ReadonlyMap<number, Verdict>): Segment[] {
  const numbers = [...verdicts.keys()].sort((a, b) => a - b);
  const last = numbers.findLast((number) => number < ARM_PRIVATE_BASE || number >= X32_BIT) ?? start;
  const segments: Segment[] = [];
  const add = (from: number, verdict: Verdict): void => {
    if (segments.at(-1)?.verdict !== verdict) {
      segments.push({ from, verdict });
    }
  };
  let next = start;
  for (const number of numbers) {
    if (number > next) {
      add(next, next > last ? 'absent' : 'refuse');
    }
    add(number, verdicts.get(number) ?? 'refuse');
    next = number + 1;
  }
  add(next, 'absent');
  return segments;
}
