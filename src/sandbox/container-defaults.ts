/** What every RUN gets unless a flag says otherwise: Docker's defaults, or stricter. */
import type { ContainerSpec, MaskedPath, MountSpec } from './container-spec.ts';

/** As BuildKit names the host of a step. */
export const DEFAULT_HOSTNAME = 'buildkitsandbox';

/** Docker's fourteen: 00000000a80425fb. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SYS_CHROOT',
  'CAP_MKNOD',
  'CAP_AUDIT_WRITE',
  'CAP_SETFCAP',
];

/** The union of containerd's list and Moby's (which adds interrupts and the CPUs' thermal counters, GHSA-6fw5-f8r9-fgfm). */
const MASKED_PATHS: readonly MaskedPath[] = [
  { path: '/proc/acpi', type: 'directory' },
  { path: '/proc/asound', type: 'directory' },
  { path: '/proc/interrupts', type: 'file' },
  { path: '/proc/kcore', type: 'file' },
  { path: '/proc/keys', type: 'file' },
  { path: '/proc/latency_stats', type: 'file' },
  { path: '/proc/sched_debug', type: 'file' },
  { path: '/proc/scsi', type: 'directory' },
  { path: '/proc/timer_list', type: 'file' },
  { path: '/proc/timer_stats', type: 'file' },
  { path: '/sys/devices/virtual/powercap', type: 'directory' },
  { path: '/sys/firmware', type: 'directory' },
];

/** What a container is kept from. */
export type ContainerLimits = Pick<
  ContainerSpec,
  'capabilities' | 'seccomp' | 'devices' | 'maskedPaths' | 'readonlyPaths' | 'userNamespace'
>;

export function sandboxLimits(facts: HostFacts): ContainerLimits {
  return {
    ...{ capabilities: DEFAULT_CAPABILITIES, seccomp: 'default', devices: 'standard' },
    ...{ maskedPaths: defaultMaskedPaths(facts), readonlyPaths: DEFAULT_READONLY_PATHS },
    ...sharedNamespace(facts),
  };
}

/** What tells the operations of a container that this process is root in a namespace only. */
export function sharedNamespace({ userNamespace, ids, proc }: HostFacts): Pick<ContainerSpec, 'userNamespace'> {
  return userNamespace === 'own' ? { userNamespace: { ids, ...(proc === 'outer' ? { proc } : {}) } } : {};
}

export const DEFAULT_READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Facts of the machine that the defaults depend on; host-facts.ts finds them. */
export interface HostFacts {
  /** /sys/fs/cgroup is a pure cgroup2 mount. */
  readonly cgroup2: boolean;
  /** `cpu0` … with a thermal_throttle directory. */
  readonly throttledCpus: readonly string[];
  /** `own`: uid 0 is not the machine's root, and not every id is there. */
  readonly userNamespace: 'initial' | 'own';
  /** `one`: no id but 0. */
  readonly ids: 'all' | 'one';
  /** `outer`: parts of /proc are hidden from this user namespace, so that the kernel lets it mount no new one. By default `own`. */
  readonly proc?: 'own' | 'outer';
}

export function defaultMaskedPaths(facts: HostFacts): MaskedPath[] {
  const thermal = facts.throttledCpus.map(
    (cpu) => ({ path: `/sys/devices/system/cpu/${cpu}/thermal_throttle`, type: 'directory' }) as const,
  );
  return [...MASKED_PATHS, ...thermal];
}

/** The mounts before those that RUN asks for. /etc/hosts and /etc/resolv.conf are the caller's to add. */
export function defaultMounts(facts: HostFacts, options: { shmBytes?: number } = {}): MountSpec[] {
  const mounts: MountSpec[] = [
    { kind: 'proc', target: '/proc' },
    { kind: 'dev', target: '/dev', shmBytes: options.shmBytes ?? 64 * 1024 * 1024 },
    { kind: 'mqueue', target: '/dev/mqueue' },
    { kind: 'sysfs', target: '/sys' },
  ];
  if (facts.cgroup2) mounts.push({ kind: 'cgroup2', target: '/sys/fs/cgroup' });
  return mounts;
}
