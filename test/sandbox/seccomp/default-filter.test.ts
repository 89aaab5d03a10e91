import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { buildFilter, defaultFilter } from '../../../src/sandbox/seccomp/default-filter.ts';
import { type Abi, syscallNumbers } from '../../../src/sandbox/seccomp/syscall-numbers.ts';
import { runFilter } from './_bpf-interpreter.ts';

const kernel = { major: 6, minor: 1 };
const DEFAULT_CAPABILITIES =
  'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP'
    .split(' ')
    .map((name) => `CAP_${name}`);

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const KILL = 0x80000000;

const ABIS: readonly { abi: Abi; arch: 'x64' | 'arm64'; audit: number; base: number; last: number }[] = [
  { abi: 'x86-64', arch: 'x64', audit: 0xc000003e, base: 0, last: 466 },
  { abi: 'x32', arch: 'x64', audit: 0xc000003e, base: 0x40000000, last: 547 },
  { abi: 'i386', arch: 'x64', audit: 0x40000003, base: 0, last: 466 },
  { abi: 'aarch64', arch: 'arm64', audit: 0xc00000b7, base: 0, last: 466 },
  { abi: 'arm', arch: 'arm64', audit: 0x40000028, base: 0, last: 466 },
];

/** Written down apart from the profile's data: all of x86-64's table to 450 that a step may not call. */
const REFUSED_ON_X86_64 = `
  syslog uselib ustat sysfs vhangup pivot_root _sysctl acct settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname
  iopl ioperm create_module init_module delete_module get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall
  tuxcall security lookup_dcookie clock_settime vserver mbind set_mempolicy get_mempolicy kexec_load add_key request_key keyctl
  migrate_pages unshare move_pages perf_event_open fanotify_init open_by_handle_at setns kcmp finit_module kexec_file_load bpf
  userfaultfd io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick clone3 pidfd_getfd
  process_madvise mount_setattr quotactl_fd set_mempolicy_home_node`
  .trim()
  .split(/\s+/);

/** Further names of the other ABIs and of newer kernels that no rule allows. */
const REFUSED_ELSEWHERE = `
  umount stime clock_settime64 oldstat oldfstat oldlstat break ftime stty gtty prof lock mpx ulimit oldolduname olduname readdir signal
  sigaction sigsuspend sigpending sgetmask ssetmask bdflush profil idle vm86 vm86old nice usr26 usr32 get_tls pciconfig_iobase
  pciconfig_read pciconfig_write lsm_get_self_attr lsm_set_self_attr lsm_list_modules open_tree_attr file_getattr file_setattr`
  .trim()
  .split(/\s+/);

const filters = {
  x64: buildFilter('x64', { capabilities: DEFAULT_CAPABILITIES, kernel }),
  arm64: buildFilter('arm64', { capabilities: DEFAULT_CAPABILITIES, kernel }),
};

describe('defaultFilter()', () => {
  it('defaultFilter() gives each number of each ABI the verdict of the public profile', () => {
    const refusedNames = new Set([...REFUSED_ON_X86_64, ...REFUSED_ELSEWHERE]);
    for (const { abi, arch, audit, base, last } of ABIS) {
      const named = namesByNumber(abi);
      for (let number = 0; number < 1024; number++) {
        const names = named.get(base + number);
        const found = runFilter(filters[arch], { arch: audit, number: base + number });
        const subject = `${abi} ${number} ${names?.join()}`;
        if (number > last || names?.includes('clone3')) {
          assert.equal(found, ENOSYS, subject);
        } else if (names === undefined || names.every((name) => refusedNames.has(name))) {
          assert.equal(found, EPERM, subject);
        } else {
          assert.equal(found, ALLOW, subject);
        }
      }
    }
  });

  it('defaultFilter() allows 292 calls of the 362 of x86-64, looks at the arguments of 3 and refuses 67', () => {
    assert.equal(REFUSED_ON_X86_64.length, 67);
    const conditional = new Set(['clone', 'personality', 'socket']);
    const named = [...syscallNumbers('x86-64')].filter(([name, number]) => number <= 450 && name !== 'uretprobe');
    assert.equal(named.length, 362);
    const run = (number: number): number => runFilter(filters.x64, { arch: 0xc000003e, number });
    const refused = named.filter(([, number]) => run(number) !== ALLOW).map(([name]) => name);
    assert.deepEqual(refused.sort(), [...REFUSED_ON_X86_64].sort());
    assert.equal(named.filter(([name, number]) => run(number) === ALLOW && !conditional.has(name)).length, 292);
  });

  it('defaultFilter() says ENOSYS to numbers far above, and to -1', () => {
    for (const { arch, audit } of ABIS) {
      for (const number of [0xeffff, 0x3fffffff, 0x7fffffff, 0x80000000, 0xffffffff]) {
        assert.equal(runFilter(filters[arch], { arch: audit, number }), ENOSYS, `${audit} ${number}`);
      }
    }
  });

  it('defaultFilter() allows the private calls of arm that its C library needs', () => {
    const run = (number: number): number => runFilter(filters.arm64, { arch: 0x40000028, number });
    assert.deepEqual([0xf0001, 0xf0002, 0xf0003, 0xf0005, 0xf0006].map(run), [ALLOW, ALLOW, ENOSYS, ALLOW, ENOSYS]);
  });

  it('defaultFilter() kills a process of another architecture', () => {
    assert.equal(runFilter(filters.x64, { arch: 0xc00000b7, number: 0 }), KILL);
    assert.equal(runFilter(filters.arm64, { arch: 0xc000003e, number: 0 }), KILL);
    assert.equal(runFilter(filters.x64, { arch: 0x40000028, number: 0 }), KILL);
    assert.equal(runFilter(filters.x64, { arch: 0, number: 0 }), KILL);
  });

  it('defaultFilter() refuses socket() of AF_ALG and AF_VSOCK, also with bits that the kernel drops', () => {
    for (const { abi, arch, audit } of ABIS) {
      const number = syscallNumbers(abi).get('socket') ?? assert.fail();
      const run = (argument: bigint): number => runFilter(filters[arch], { arch: audit, number, argument });
      for (let family = 0n; family < 64n; family++) {
        assert.equal(run(family), family === 38n || family === 40n ? EPERM : ALLOW, `${abi} ${family}`);
      }
      assert.equal(run(0x1_0000_0026n), EPERM);
      assert.equal(run(0xffff_ffff_0000_0028n), EPERM);
    }
  });

  it('defaultFilter() refuses clone() with a flag of a namespace, each by itself', () => {
    const refused = [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000];
    for (const { abi, arch, audit } of ABIS) {
      const number = syscallNumbers(abi).get('clone') ?? assert.fail();
      for (let bit = 0; bit < 32; bit++) {
        const flag = 2 ** bit;
        const found = runFilter(filters[arch], { arch: audit, number, argument: BigInt(flag) });
        assert.equal(found, refused.includes(flag) ? EPERM : ALLOW, `${abi} ${flag.toString(16)}`);
      }
    }
  });

  it('defaultFilter() allows the five harmless personalities only', () => {
    const allowed = [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn];
    for (const { abi, arch, audit } of ABIS) {
      const number = syscallNumbers(abi).get('personality') ?? assert.fail();
      const run = (argument: bigint): number => runFilter(filters[arch], { arch: audit, number, argument });
      assert.deepEqual(
        allowed.map(run),
        allowed.map(() => ALLOW),
      );
      for (const other of [1n, 0x40000n, 0x20001n, 0xfffffffen, 0x1_0000_0000n, -1n]) {
        assert.equal(run(other), EPERM, `${abi} ${other}`);
      }
    }
  });

  it('defaultFilter() opens the calls of a capability that the step has', () => {
    const names = 'mount unshare clone3 lsm_list_modules bpf reboot chroot settimeofday kcmp mbind syslog open_by_handle_at acct'.split(
      ' ',
    );
    const allowedWith = (capabilities: readonly string[]): string[] => {
      const filter = defaultFilter('x64', { capabilities, kernel });
      const numbers = syscallNumbers('x86-64');
      return names.filter((name) => runFilter(filter, { arch: 0xc000003e, number: numbers.get(name) ?? assert.fail(name) }) === ALLOW);
    };
    assert.deepEqual(allowedWith([]), []);
    assert.deepEqual(allowedWith(['CAP_SYS_CHROOT', 'toString']), ['chroot']);
    assert.deepEqual(allowedWith(['CAP_SYS_ADMIN']), ['mount', 'unshare', 'clone3', 'lsm_list_modules', 'bpf', 'syslog']);
    assert.deepEqual(allowedWith(['CAP_SYS_TIME', 'CAP_SYS_PTRACE', 'CAP_SYS_NICE']), ['settimeofday', 'kcmp', 'mbind']);
    const withAdmin = defaultFilter('x64', { capabilities: ['CAP_SYS_ADMIN'], kernel });
    assert.equal(runFilter(withAdmin, { arch: 0xc000003e, number: 56, argument: 0x10000000n }), ALLOW);
  });

  it('defaultFilter() has the usual filter ready, the same as one built now (UPDATE_FIXTURES=1 writes it)', () => {
    const options = { capabilities: DEFAULT_CAPABILITIES, kernel };
    if (process.env.UPDATE_FIXTURES === '1') {
      writeFileSync('src/sandbox/seccomp/built-filters-table.ts', builtFiltersSource());
      return;
    }
    for (const arch of ['x64', 'arm64'] as const) {
      assert.deepEqual(defaultFilter(arch, options), buildFilter(arch, options), arch);
    }
  });

  it('defaultFilter() allows ptrace() since Linux 4.8', () => {
    const run = (major: number, minor: number): number =>
      runFilter(defaultFilter('x64', { capabilities: [], kernel: { major, minor } }), { arch: 0xc000003e, number: 101 });
    assert.deepEqual([run(3, 19), run(4, 7), run(4, 8), run(5, 0)], [EPERM, EPERM, ALLOW, ALLOW]);
  });
});

function namesByNumber(abi: Abi): Map<number, string[]> {
  const names = new Map<number, string[]>();
  for (const [name, number] of syscallNumbers(abi)) {
    names.set(number, [...(names.get(number) ?? []), name]);
  }
  return names;
}

function builtFiltersSource(): string {
  const options = { capabilities: DEFAULT_CAPABILITIES, kernel };
  const entries = (['x64', 'arm64'] as const).map((arch) => {
    const text = deflateRawSync(buildFilter(arch, options), { level: 9 }).toString('base64');
    return `  ${arch}: \`\n${text.replace(/.{1,128}/g, '    $&\n')}  \`,\n`;
  });
  return `/** The filter of a step with the usual capabilities: raw deflate, base64. Written by default-filter.test.ts, which says how. */
export const BUILT_FILTERS = {\n${entries.join('')}};\n`;
}
