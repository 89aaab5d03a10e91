/**
 * What a process of a RUN has to see, row by row of what the peers give (BuildKit's executor with runc, Docker's default
 * profile), written down here and computed from nothing of the product. Names are those that fixtures/probes/facts.c prints.
 * STRICTER lists where tsbuild gives less on purpose; everything else is equal.
 */

/** Exact text, a pattern, or any of several. */
export type Expected = string | RegExp | readonly string[];

/** Who runs the probe: root, a user of the image, or that user by way of a setuid-root copy of the probe. */
export type Who = 'root' | 'user' | 'setuid';

/** The test process's own view, for what a container inherits or must not share. */
export interface HostView {
  /** `pid` → `pid:[4026531836]`. */
  readonly namespaces: ReadonlyMap<string, string>;
  /** `nofile` → `20000 20000`. */
  readonly limits: ReadonlyMap<string, string>;
  readonly userNamespace: 'initial' | 'own';
  readonly network: 'private' | 'none';
  /** Whose the nodes of /dev are: the machine's, where tsbuild itself can make none. */
  readonly nodes: 'own' | 'machine';
  /** Of the command: the first after PID 1, unless threads of the launcher were counted before it. */
  readonly pid: string | RegExp;
}

/** Where a step gets less than from the peers, and why nobody misses it. */
export const STRICTER: ReadonlyMap<string, string> = new Map([
  [
    'mknod.*',
    'all but /dev is nodev: nodes can be made as with the peers, but no device cgroup is needed to keep them shut (the peers let six kinds open)',
  ],
  ['pid1.*', 'PID 1 is ours and not dumpable: its descriptors, memory, environment and executable are nobody’s'],
  ['write./etc/hosts', 'the same as BuildKit; Docker lets a step write it'],
  ['path./proc/interrupts', 'Docker’s newest list, which BuildKit does not have yet'],
  ['try.af-alg-high', 'the family is compared as the 32 bits that the kernel reads'],
  ['exec of host files', 'no binary of the host is alive in the PID namespace: PID 1 is a sealed memfd'],
]);

const CAPABILITIES = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];
const BITS = 'a80425fb';
const NONE = '0000000000000000';
const FULL_MAP = /^ +0 +0 +4294967295\\n$/;
const REFUSED_CALLS =
  'mount remount umount unshare-user unshare-mount unshare-none setns pivot_root sethostname setdomainname settimeofday clock_settime reboot iopl ioperm swapon quotactl acct init_module finit_module delete_module kexec_load bpf perf_event_open userfaultfd io_uring_setup add_key request_key keyctl open_by_handle_at fanotify_init fsopen open_tree move_mount mount_setattr pidfd_getfd kcmp syslog vhangup personality-no-random af-alg af-vsock af-alg-high'.split(
    ' ',
  );

/** Name → what it has to be, for everything that is always there. */
export function expectedFacts(who: Who, host: HostView): Map<string, Expected> {
  return new Map<string, Expected>([
    ...identity(who, host),
    ...process(who, host),
    ...capabilities(who),
    ...signals(),
    ...descriptors(),
    ...namespaces(host),
    ...limits(host),
    ...devices(who, host),
    ...paths(who, host),
    ...mounts(),
    ...(host.network === 'private' ? resolver() : []),
    ...network(host),
    ...powers(who),
    ['end', 'ok'],
  ]);
}

type Facts = readonly (readonly [string, Expected])[];

function identity(who: Who, { pid }: HostView): Facts {
  const isRoot = who === 'root';
  const out = isRoot ? '/tsbuild-facts' : `/out/${who}-facts`;
  return [
    ['uid', isRoot ? '0 0 0 0' : who === 'user' ? '1000 1000 1000 1000' : '1000 0 0 0'],
    ['gid', isRoot ? '0 0 0 0' : '1000 1000 1000 1000'],
    ['groups', isRoot ? '0 10' : '10 1000'],
    ['env.HOME', isRoot ? '/root' : '/home/app'],
    ['env.PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ['argv.0', who === 'setuid' ? '/setuid-probe' : '/facts-probe'],
    ['argv.1', out],
    ['comm', who === 'setuid' ? 'setuid-probe' : 'facts-probe'],
    ['pid', pid],
    ['ppid', '1'],
    ['pgrp-is-own', '1'],
    ['session-is-own', '1'],
    ['session-of-pid1', '1'],
    ['process.1', 'init\\n'],
    ['process.self', who === 'setuid' ? 'setuid-probe\\n' : 'facts-probe\\n'],
    ['umask', '022'],
    ['cwd', '/'],
    ['nodename', 'buildkitsandbox'],
    ['domainname', '(none)'],
    ['machine', 'x86_64'],
  ];
}

function process(who: Who, { pid }: HostView): Facts {
  return [
    ['personality', '0'],
    ['nice', '0'],
    ['scheduler', '0'],
    ['ioprio', '0'],
    ['prctl.dumpable', who === 'setuid' ? '0' : '1'],
    ['prctl.no_new_privs', '0'],
    ['prctl.securebits', '0'],
    ['prctl.keepcaps', '0'],
    ['prctl.seccomp', '2'],
    ['prctl.pdeathsig', '0'],
    ['prctl.child_subreaper', '0'],
    ['prctl.thp_disable', '0'],
    ['prctl.tsc', '1'],
    ['prctl.timing', '0'],
    ['prctl.timerslack', '50000'],
    ['prctl.mce_kill', '2'],
    ['prctl.io_flusher', 'EPERM'],
    // Linux before 6.3 does not know it.
    ['prctl.mdwe', ['0', '-1']],
    ['coredump_filter', '00000033\\n'],
    ['status.NoNewPrivs', '0'],
    ['status.Seccomp', '2'],
    ['status.Seccomp_filters', '1'],
    ['status.TracerPid', '0'],
    ['status.Threads', '1'],
    ['status.NStgid', pid],
    ['status.NSpid', pid],
    ['status.NSpgid', pid],
    ['status.NSsid', pid],
    ['status.Umask', '0022'],
    ['status.CoreDumping', '0'],
    ['status1.PPid', '0'],
    ['status1.NSpid', '1'],
    ['status1.NSsid', '1'],
    ['status1.NoNewPrivs', '0'],
    ['status1.Seccomp', '2'],
    ['status1.Name', 'init'],
    ['environ1', 'EACCES'],
    ['maps1', 'EACCES'],
    ['exe1.comm', 'init\\n'],
    ['loginuid', /^\d+$/],
    ['timens_offsets', /^monotonic +0 +0\\nboottime +0 +0\\n$/],
  ];
}

function capabilities(who: Who): Facts {
  const held = who === 'user' ? NONE : `00000000${BITS}`;
  const now = who === 'user' ? '0' : BITS;
  const uid = who === 'root' ? '0\\t0\\t0\\t0' : who === 'user' ? '1000\\t1000\\t1000\\t1000' : '1000\\t0\\t0\\t0';
  return [
    ['capget', `${now} ${now} 0 0`],
    ...CAPABILITIES.map((number) => [`bounding.${number}`, '1'] as const),
    ['status.Uid', uid],
    ['status.Gid', who === 'root' ? '0\\t0\\t0\\t0' : '1000\\t1000\\t1000\\t1000'],
    ['status.CapInh', NONE],
    ['status.CapPrm', held],
    ['status.CapEff', held],
    ['status.CapBnd', `00000000${BITS}`],
    ['status.CapAmb', NONE],
    ['status1.CapInh', NONE],
    ['status1.CapBnd', `00000000${BITS}`],
    ['status1.CapAmb', NONE],
    ['status1.CapEff', who === 'root' ? `00000000${BITS}` : NONE],
    // What a process may do that gives itself another id: nothing is left behind, nothing more is had.
    ['caps-after-setuid-1000', '0 0 0'],
    ['caps-after-setuid-0', `${now} ${now} 0`],
    ['try.setuid-1000', 'ok'],
    ['try.setuid-0', who === 'user' ? 'EPERM' : 'ok'],
  ];
}

function signals(): Facts {
  return [
    ...Array.from({ length: 64 }, (_, index) => [`signal.${index + 1}`, 'default'] as const),
    ['signals.blocked', '0'],
    ['signals.pending', '0'],
    ['status.SigPnd', NONE],
    ['status.ShdPnd', NONE],
    ['status.SigBlk', NONE],
    ['status.SigIgn', NONE],
    ['status.SigCgt', NONE],
  ];
}

/** Three, and no more: `fd.` of any other number is a fact that the table does not have, which is an error. */
function descriptors(): Facts {
  return [
    ['fd.0', 'char r 1:3'],
    ['fd.1', 'pipe w'],
    ['fd.2', 'pipe w'],
    ...[0, 1, 2].flatMap(
      (fd) =>
        [
          [`fd.${fd}.tty`, 'ENOTTY'],
          [`fd.${fd}.tiocsti`, 'ENOTTY'],
          [`fd.${fd}.reopen`, 'ok'],
        ] as const,
    ),
    ['stdin.read', '0'],
    ['pid1.fd.0', 'EACCES'],
  ];
}

function namespaces({ namespaces: outside, userNamespace }: HostView): Facts {
  const own = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'pid_for_children', 'uts', ...(userNamespace === 'own' ? ['user'] : [])];
  const not = (name: string) => new RegExp(`^(?!${quoted(outside.get(name.replace('_for_children', '')) ?? '')}$)[a-z]+:\\[\\d+\\]$`);
  return [
    ...own.map((name) => [`ns.${name}`, not(name)] as const),
    ...(userNamespace === 'initial'
      ? ([
          ['uid_map', FULL_MAP],
          ['gid_map', FULL_MAP],
          ['setgroups', 'allow\\n'],
        ] as const)
      : ([
          ['uid_map', /^ +0 +\d+ +\d+\\n/],
          ['gid_map', /^ +0 +\d+ +\d+\\n/],
        ] as const)),
    // The machine's control groups are not to be seen: each hierarchy begins at the step's own.
    ['cgroup', /^(\d+:[\w=,]*:\/\\n)+$/],
  ];
}

function limits({ limits: outside }: HostView): Facts {
  return [...outside].map(([name, value]) => [`rlimit.${name}`, value] as const);
}

function devices(who: Who, { nodes: whose, userNamespace }: HostView): Facts {
  // The owner of the machine's own nodes has no number inside.
  const owner = whose === 'machine' ? '65534 65534' : '0 0';
  const nodes: readonly (readonly [name: string, number: string, read: string, write: string])[] = [
    ['null', '1:3', '0', '1'],
    ['zero', '1:5', '8 zeros', '1'],
    ['full', '1:7', '8 zeros', 'ENOSPC'],
    ['random', '1:8', '8', '1'],
    ['urandom', '1:9', '8', '1'],
  ];
  const links = [
    ['fd', '/proc/self/fd'],
    ['stdin', '/proc/self/fd/0'],
    ['stdout', '/proc/self/fd/1'],
    ['stderr', '/proc/self/fd/2'],
    ['ptmx', 'pts/ptmx'],
  ] as const;
  return [
    ...nodes.flatMap(
      ([name, number, read, write]) =>
        [
          [`dev.${name}`, `char 666 ${owner} ${number}`],
          [`dev.${name}.open`, 'ok'],
          [`dev.${name}.read`, read],
          [`dev.${name}.write`, write],
        ] as const,
    ),
    ['dev.tty', `char 666 ${owner} 5:0`],
    ['dev.tty.open', 'ENXIO'],
    ...links.map(([name, to]) => [`dev.${name}`, `link 777 0 0 ${to}`] as const),
    ['dev.pts', 'directory 755 0 0'],
    ['dev.shm', 'directory 1777 0 0'],
    ['dev.mqueue', 'directory 1777 0 0'],
    ['pts.ptmx', 'char 666 0 0 5:2'],
    ['pts.ptmx.open', 'ok'],
    ['pts.ptmx.read', '-1'],
    ['pts.ptmx.write', '1'],
    ['pty.number', '0'],
    ['pty.node', `char 620 ${who === 'user' ? 1000 : 0} 5 136:0`],
    ...madeNodes(who, userNamespace),
  ];
}

const MADE_NODES = ['null', 'mem', 'kmsg', 'tty1', 'ptmx', 'fuse', 'tun', 'kvm', 'loop', 'sda', 'vda'];

function madeNodes(who: Who, userNamespace: HostView['userNamespace']): Facts {
  return ['/', '/tmp', '/dev', '/dev/shm'].flatMap((place) =>
    MADE_NODES.map((name) => {
      const isTheirs = place === '/tmp' || place === '/dev/shm';
      const refused = who === 'user' && !isTheirs ? 'EACCES' : 'EPERM';
      return [`mknod.${place}.${name}`, who === 'user' || userNamespace === 'own' ? refused : 'ok, open EACCES'] as const;
    }),
  );
}

const ABSENT = 'ENOENT';

function paths(who: Who, { userNamespace }: HostView): Facts {
  const hiddenDirectories = ['/proc/acpi', '/proc/asound', '/proc/scsi', '/sys/firmware', '/sys/devices/virtual/powercap'];
  const thermal = [0, 1].map((cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`);
  const hiddenFiles = ['interrupts', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug'].map(
    (name) => `/proc/${name}`,
  );
  const settings = [
    'kernel/core_pattern',
    'vm/panic_on_oom',
    'kernel/hostname',
    'net/ipv4/ip_forward',
    'kernel/shmmax',
    'fs/mqueue/msg_max',
  ];
  // The owner of these files has no number in a user namespace of its own.
  const refused = who === 'user' || userNamespace === 'own' ? ['EACCES', 'EROFS'] : 'EROFS';
  return [
    ...[...hiddenDirectories, ...thermal].map((path) => [`path.${path}`, [ABSENT, 'directory empty']] as const),
    ...hiddenFiles.map((path) => [`path.${path}`, [ABSENT, 'char empty']] as const),
    ...['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys'].flatMap(
      (path) =>
        [
          [`path.${path}`, 'directory full'],
          [`write.${path}`, 'ENOENT'],
          [`chmod.${path}`, 'EROFS'],
        ] as const,
    ),
    ['path./proc/sysrq-trigger', [ABSENT, 'file EACCES', 'file EIO', 'file EPERM']],
    ...settings.flatMap(
      (path) =>
        [
          [`write./proc/sys/${path}`, refused],
          [`chmod./proc/sys/${path}`, 'EROFS'],
        ] as const,
    ),
    ...['/sys', '/sys/kernel', '/sys/class'].flatMap(
      (path) =>
        [
          [`path.${path}`, 'directory full'],
          [`write.${path}`, 'EROFS'],
          [`chmod.${path}`, 'EROFS'],
        ] as const,
    ),
    ['chmod./sys/fs/cgroup', 'EROFS'],
    ...['/proc/1/root', '/proc/1/cwd', '/proc/1/exe'].flatMap(
      (path) =>
        [
          [`path.${path}`, 'link EACCES'],
          [`write.${path}`, 'EACCES'],
        ] as const,
    ),
    ['sysctl.many', 'yes'],
    ['sysctl.open', '0'],
  ];
}

function mounts(): Facts {
  return [
    ['statfs./', '794c7630 rw,nodev'],
    ['statfs./proc', '9fa0 rw,nosuid,nodev,noexec'],
    ['statfs./dev', '1021994 rw,nosuid,nodev'],
    ['size./dev', String(65536 * 1024)],
    ['statfs./dev/pts', '1cd1 rw,nosuid,noexec'],
    ['statfs./dev/shm', '1021994 rw,nosuid,nodev,noexec'],
    ['size./dev/shm', String(64 * 1024 * 1024)],
    ['shm.capacity', `${64 * 1024 * 1024} ENOSPC`],
    ['statfs./dev/mqueue', '19800202 rw,nosuid,nodev,noexec'],
    ['statfs./sys', '62656572 ro,nosuid,nodev,noexec'],
    ['statfs./sys/fs/cgroup', [...['62656572', '63677270', '1021994'].map((magic) => `${magic} ro,nosuid,nodev,noexec`)]],
    ['statfs./etc/hosts', '1021994 ro,nosuid,nodev,noexec'],
    // /run is no tmpfs: what a step puts there stays.
    ['statfs./run', ABSENT],
    ['statfs./tmp', '794c7630 rw,nodev'],
    ['node./', 'directory 755 0 0'],
    ['node./dev', 'directory 755 0 0'],
    ['node./dev/shm', 'directory 1777 0 0'],
    ['node./dev/pts', 'directory 755 0 0'],
    ['node./dev/mqueue', 'directory 1777 0 0'],
    ['node./proc', /^directory 555 (0 0|65534 65534)$/],
    ['node./sys', /^directory 555 (0 0|65534 65534)$/],
    ['node./etc/hosts', 'file 644 0 0'],
    ['node./.dockerenv', ABSENT],
    ['node./run/.containerenv', ABSENT],
    ['file./etc/hosts', '127.0.0.1\\tlocalhost buildkitsandbox\\n::1\\tlocalhost ip6-localhost ip6-loopback\\n'],
    ['write./etc/hosts', ['EROFS', 'EACCES']],
    ['unlink./etc/hosts', ['EBUSY', 'EACCES']],
  ];
}

function resolver(): Facts {
  return [
    ['statfs./etc/resolv.conf', '1021994 ro,nosuid,nodev,noexec'],
    ['node./etc/resolv.conf', 'file 644 0 0'],
    ['write./etc/resolv.conf', ['EROFS', 'EACCES']],
    ['rename./etc/resolv.conf', ['EBUSY', 'EACCES']],
  ];
}

function network({ network: mode }: HostView): Facts {
  return [
    ['interface.lo', 'up'],
    ['address.lo.4', '127.0.0.1'],
    ...(mode === 'private'
      ? [
          ['interface.eth0', 'up'] as const,
          ['address.eth0.4', /^10\.\d+\.\d+\.\d+$|^172\.(1[6-9]|2\d|3[01])\.\d+\.\d+$|^192\.168\.\d+\.\d+$/] as const,
        ]
      : []),
    // The heading alone: no socket of the host, by path or in the abstract namespace.
    ['net.unix.lines', '1'],
    ['net.abstract', 'ECONNREFUSED'],
    ['net.abstract-padded', 'ECONNREFUSED'],
  ];
}

function powers(who: Who): Facts {
  const isUser = who === 'user';
  const may = (name: string, refused = 'EPERM') => [`try.${name}`, isUser ? refused : 'ok'] as const;
  return [
    ...REFUSED_CALLS.map((name) => [`try.${name}`, 'EPERM'] as const),
    ['try.clone3', 'ENOSYS'],
    ['try.above-the-profile', 'ENOSYS'],
    ['try.personality-query', 'ok'],
    may('chown'),
    may('setcap'),
    may('raw-socket'),
    may('packet-socket'),
    may('bind-80', 'EACCES'),
    may('chroot'),
    ['chroot-escape', 'in the container'],
    ['try.user-xattr', 'ok'],
    ['try.trusted-xattr', 'EPERM'],
    ['try.net-admin', 'EPERM'],
    ['try.immutable', 'EPERM'],
    ['try.nice-down', 'EACCES'],
    ['try.realtime', 'EPERM'],
    ['try.raise-rlimit', 'EPERM'],
    ['try.oom-down', 'EACCES'],
    // A setuid program is not dumpable, nor are its children before they exec.
    ['try.ptrace-own-child', who === 'setuid' ? 'EPERM' : 'ok'],
    ['try.ptrace-pid1', 'EPERM'],
    ['try.proc1-root', 'EACCES'],
    ['try.proc1-exe', 'EACCES'],
    ['try.proc1-exe-write', 'EACCES'],
    ['try.proc1-mem', 'EACCES'],
    ['try.tty', 'ENXIO'],
    ['try.ptmx', 'ok'],
    ['try.mq_open', 'ok'],
    ['try.shmget', 'ok'],
    ['ipc.segments', '1'],
    ['try.memfd', 'ok'],
    // The kernel passes uretprobe by every filter, and kills who calls it from elsewhere.
    ['call.uretprobe', ['ILL', 'ENXIO', 'EPERM', 'ENOSYS']],
  ];
}

function quoted(text: string): string {
  return text.replace(/[[\]()\\]/g, '\\$&');
}
