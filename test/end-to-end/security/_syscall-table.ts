/**
 * Docker's default seccomp profile with its fourteen capabilities on x86-64, as the names that are refused: written down from the profile
 * (moby/profiles of 2026-06-30), not taken from the product. Numbers come from the machine's kernel headers, and from here
 * where those are older than the profile.
 */
import { readFileSync } from 'node:fs';

export type Abi = 'x86-64' | 'x32' | 'i386';
export type Verdict = 'allow' | 'EPERM' | 'ENOSYS';

/** The 66 of x86-64 that give EPERM below number 451 (clone3 is the 67th, with ENOSYS), and the three lsm_ calls. */
const REFUSED_64 = words(`
  syslog uselib ustat sysfs vhangup pivot_root _sysctl acct settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname
  iopl ioperm create_module init_module delete_module get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall
  tuxcall security lookup_dcookie clock_settime vserver mbind set_mempolicy get_mempolicy kexec_load add_key request_key keyctl
  migrate_pages unshare move_pages perf_event_open fanotify_init open_by_handle_at setns kcmp finit_module kexec_file_load bpf
  userfaultfd io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick pidfd_getfd
  process_madvise mount_setattr quotactl_fd set_mempolicy_home_node lsm_get_self_attr lsm_set_self_attr lsm_list_modules`);

/** What x32 has of them, and calls that only 64-bit programs have: to x32 they are numbers without a name. */
const REFUSED_X32 = new Set([...REFUSED_64, 'open_tree_attr', 'file_getattr', 'file_setattr', 'map_shadow_stack']);

/** The same names, and old ones that no C library calls any more. */
const REFUSED_I386 = new Set([
  ...REFUSED_64,
  ...words(`
  break oldstat umount stime oldfstat stty gtty nice ftime prof signal lock mpx ulimit oldolduname sigaction sgetmask ssetmask
  sigsuspend sigpending oldlstat readdir profil olduname idle vm86old bdflush vm86 clock_settime64`),
]);

/** Since Linux 6.3: asm-generic/unistd.h; the same on all three. */
const NEWER = words(`cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr
  lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat open_tree_attr file_getattr file_setattr`);
const FIRST_NEWER = 451;
/** uretprobe, which is not asked: the kernel passes it by every filter. */
const URETPROBE = 335;

interface Profile {
  readonly header: string;
  readonly refused: ReadonlySet<string>;
  /** The largest number that a rule names: above it everything is ENOSYS, so that a C library takes its older way. */
  readonly largest: number;
}

/** removexattrat is the newest that the profile names; x32 has numbers of its own from 512 to 547. */
const PROFILES: Readonly<Record<Abi, Profile>> = {
  'x86-64': { header: 'unistd_64.h', refused: REFUSED_64, largest: 466 },
  x32: { header: 'unistd_x32.h', refused: REFUSED_X32, largest: 547 },
  i386: { header: 'unistd_32.h', refused: REFUSED_I386, largest: 466 },
};

/** For numbers below 1024, as they are without x32's bit. */
export function expectedVerdict(abi: Abi, number: number): Verdict {
  const { refused, largest } = PROFILES[abi];
  const name = names(abi).get(number);
  if (name === 'clone3') return 'ENOSYS';
  if (number > largest) return 'ENOSYS';
  if (name === undefined) return abi === 'x86-64' && number === URETPROBE ? 'allow' : 'EPERM';
  return refused.has(name) ? 'EPERM' : 'allow';
}

/** clone: no new namespace; socket: neither AF_ALG nor AF_VSOCK; personality: five values. */
export function expectedWith(call: 'clone' | 'socket' | 'personality', argument: bigint): Verdict {
  const isAllowed = {
    clone: (argument & 0x7e020000n) === 0n,
    // As the kernel reads it; the profile compares all 64 bits.
    socket: (argument & 0xffffffffn) !== 38n && (argument & 0xffffffffn) !== 40n,
    personality: [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn].includes(argument),
  };
  return isAllowed[call] ? 'allow' : 'EPERM';
}

/** Which of the three calls a number is. */
export function conditionalCall(abi: Abi, number: number): 'clone' | 'socket' | 'personality' | undefined {
  const numbers = abi === 'i386' ? { clone: 120, socket: 359, personality: 136 } : { clone: 56, socket: 41, personality: 135 };
  return (['clone', 'socket', 'personality'] as const).find((name) => numbers[name] === number);
}

const known = new Map<Abi, ReadonlyMap<number, string>>();

/** Of the kernel headers beside the C compiler. */
function names(abi: Abi): ReadonlyMap<number, string> {
  const found = known.get(abi);
  if (found !== undefined) return found;
  const header = readFileSync(`/usr/include/x86_64-linux-gnu/asm/${PROFILES[abi].header}`, 'utf8');
  const all = new Map<number, string>();
  for (const [, name = '', number] of header.matchAll(/^#define __NR_(\w+)\s+\(?(?:__X32_SYSCALL_BIT \+ )?(\d+)\)?$/gm))
    all.set(Number(number), name);
  [...NEWER].forEach((name, index) => {
    all.set(FIRST_NEWER + index, name);
  });
  known.set(abi, all);
  return all;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
