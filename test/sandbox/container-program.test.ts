import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_CAPABILITIES, DEFAULT_READONLY_PATHS, defaultMaskedPaths, defaultMounts } from '../../src/sandbox/container-defaults.ts';
import { type ContainerInputs, containerProgram } from '../../src/sandbox/container-program.ts';
import type { ContainerSpec } from '../../src/sandbox/container-spec.ts';
import { encodeProgram } from '../../src/sys/syscall-program.ts';

const FACTS = { cgroup2: true, throttledCpus: ['cpu0', 'cpu1'], userNamespace: 'initial', ids: 'all' } as const;
const INPUTS: ContainerInputs = { resolvConf: 'nameserver 192.0.2.1\n', filter: new Uint8Array(16), stdin: 'empty' };
const SPEC: ContainerSpec = {
  rootfs: { cwd: '/state', lower: ['a/fs', 'b,c:d\\e/fs'], upper: 'u/fs', work: 'u/work', merged: 'u/merged' },
  mounts: [...defaultMounts(FACTS), { kind: 'resolver', target: '/etc/resolv.conf' }],
  process: { argv: ['sh', '-c', 'true'], env: ['PATH=/bin::/x'], cwd: '/w', uid: 1000, gid: 1001, groups: [1001], umask: 0o022 },
  hostname: 'h',
  capabilities: DEFAULT_CAPABILITIES,
  seccomp: 'default',
  devices: 'standard',
  maskedPaths: defaultMaskedPaths(FACTS),
  readonlyPaths: DEFAULT_READONLY_PATHS,
  network: 'private',
};

const order = (spec: ContainerSpec = SPEC, inputs = INPUTS) =>
  containerProgram(spec, inputs).operations.map(({ syscall, subject }) => `${syscall} ${subject}`);
const position = (pattern: RegExp, lines = order()) => lines.findIndex((line) => pattern.test(line));

describe('containerProgram', () => {
  it('is plain data that survives JSON', () => {
    const program = containerProgram(SPEC, INPUTS);
    assert.deepEqual(JSON.parse(JSON.stringify(program)), program);
    const inputs = new Map(['stdin', 'stdout', 'stderr', 'status', 'init', 'netns'].map((role, index) => [role, index + 20]));
    for (const architecture of ['x64', 'arm64'] as const) encodeProgram(program.operations, { address: 0n, architecture, inputs });
  });

  it('ties the child to tsbuild first, and again after the change of user', () => {
    const lines = order();
    assert.match(lines[0] ?? '', /^prctl PR_SET_PDEATHSIG/);
    assert.ok(lines.findLastIndex((line) => line.startsWith('prctl PR_SET_PDEATHSIG')) > position(/^capset/));
    assert.ok(position(/^ppoll .*has tsbuild ended/) > lines.findLastIndex((line) => line.startsWith('prctl PR_SET_PDEATHSIG')));
    assert.match(lines.at(-1) ?? '', /^execveat/);
  });

  it('looks paths of the container up inside its root, and through no magic link', () => {
    const lookups = containerProgram(SPEC, INPUTS).operations.filter(
      ({ syscall, subject }) => syscall === 'openat2' && /working directory|in the container/.test(subject),
    );
    assert.ok(lookups.length > 4);
    for (const { arguments: values, subject } of lookups) {
      const how = values[2];
      assert.ok(typeof how === 'object' && 'bytes' in how, subject);
      const resolve = Buffer.from(how.bytes, 'base64').readBigUInt64LE(16);
      assert.equal(resolve & 18n, 18n, subject); // RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, linux/openat2.h
    }
  });

  it('enters a user namespace of mapped ids when all is mounted that takes the machine’s root, and makes the others there', () => {
    const bind = { kind: 'bind', target: '/c', hostPath: '/cache', access: 'read-write' } as const;
    const mapped = {
      ...SPEC,
      mounts: [...SPEC.mounts, bind],
      userNamespace: { ids: 'all', mapped: { first: 5000, files: '/state' } },
    } as const;
    const program = containerProgram(mapped, INPUTS);
    assert.equal(program.namespaces, 0x20020000); // CLONE_NEWPID | CLONE_NEWNS
    const lines = order(mapped);
    const entered = position(/^setns the user namespace/, lines);
    assert.ok(position(/^mount overlay/, lines) < entered && position(/^open_tree \/cache/, lines) < entered);
    assert.ok(position(/^fsopen proc/, lines) < entered && position(/^fchown descriptor 1 to 6000:6001/, lines) < entered);
    assert.ok(position(/^setfsuid 5000/, lines) < position(/^mount overlay/, lines));
    const later = lines.slice(entered + 1);
    assert.deepEqual(
      later.slice(1, 4).map((line) => line.split(' ')[0]),
      ['setresgid', 'setresuid', 'unshare'],
    );
    assert.ok(position(/^setns the network namespace/, later) > 3 && position(/^pivot_root/, later) > 3);
    assert.equal(position(/^(open_tree|openat2?) \/(cache|state)/, later), -1, 'no path of the machine is used any more');
    const maps = program.operations.filter(({ syscall, subject }) => syscall === 'mount_setattr' && subject.endsWith('idmap)'));
    assert.deepEqual(
      maps.map(({ subject }) => subject.split(' ')[0]),
      ['/state', '/cache'],
    );
  });

  it('has a session of its own, and no ambient capability', () => {
    const { operations } = containerProgram(SPEC, INPUTS);
    assert.equal(operations.filter(({ syscall }) => syscall === 'setsid').length, 1);
    const ambient = operations.find(({ subject }) => subject === 'PR_CAP_AMBIENT_CLEAR_ALL');
    assert.deepEqual(ambient?.arguments, [47, 4, 0, 0, 0]); // linux/prctl.h
  });

  it('shows control groups of version 2 read-only', () => {
    const attributes = containerProgram(SPEC, INPUTS).operations.filter(({ subject }) => /cgroup2/.test(subject));
    assert.ok(
      attributes.some(({ subject }) => /\bro\b/.test(subject)),
      attributes.map(({ subject }) => subject).join('\n'),
    );
  });

  it('mounts before it pivots, and installs the filter before it gives up capabilities', () => {
    const steps = [
      /^mount \/ apart from the host/,
      /^mount overlay/,
      /^move_mount proc/,
      /^move_mount .*over \/proc\/keys/,
      /^fchdir to the root/,
      /^pivot_root/,
      /^umount2/,
      /^openat2 the working directory/,
      /^getcwd/,
      /^seccomp/,
      /^prctl PR_GET_SECCOMP/,
      /^prctl PR_CAPBSET_DROP/,
      /^setgroups/,
      /^setresgid/,
      /^setresuid/,
      /^capset/,
    ].map((pattern) => position(pattern));
    assert.ok(!steps.includes(-1), String(steps));
    assert.deepEqual(
      steps,
      [...steps].sort((a, b) => a - b),
    );
  });

  it('escapes what separates overlay options', () => {
    const line = order().find((text) => text.startsWith('mount overlay')) ?? '';
    assert.ok(line.includes('lowerdir=a/fs:b\\,c\\:d\\\\e/fs,upperdir=u/fs,workdir=u/work,volatile'), line);
  });

  it('drops exactly the capabilities that the spec does not name', () => {
    const dropped = order().flatMap((line) => /PR_CAPBSET_DROP (\d+)/.exec(line)?.[1] ?? []);
    assert.equal(dropped.length, 64 - 14);
    assert.ok(dropped.includes('21') && !dropped.includes('0'));
    assert.throws(() => order({ ...SPEC, capabilities: ['CAP_NONSENSE'] }), /No such capability/);
  });

  it('hides each path once, Moby’s additions among them', () => {
    const lines = order({ ...SPEC, maskedPaths: [...SPEC.maskedPaths, { path: '/proc/keys', type: 'file' }] });
    assert.equal(lines.filter((line) => line.startsWith('move_mount') && line.includes('/proc/keys')).length, 1);
    for (const path of ['/proc/interrupts', '/sys/firmware', '/sys/devices/system/cpu/cpu1/thermal_throttle']) {
      assert.ok(
        lines.some((line) => line.startsWith('move_mount') && line.includes(`over ${path} `)),
        path,
      );
    }
  });

  it('makes every mount nosuid and nodev but those of devices, and the root nodev', () => {
    const mounts: ContainerSpec['mounts'] = [
      ...SPEC.mounts,
      { kind: 'bind', target: '/whole', hostPath: '/h', access: 'read-write' },
      { kind: 'bind', target: '/part', hostPath: '/h', source: '/in', access: 'read-only' },
      { kind: 'file', target: '/file', hostPath: '/f' },
      { kind: 'layers', target: '/l', layers: { cwd: '/state', lower: ['a/fs'] }, source: '/x', type: 'file', access: 'read-only' },
    ];
    const lines = order({ ...SPEC, mounts });
    const plain = lines.filter((line) => /^(fsmount|mount_setattr) /.test(line) && !/\((ro|nodev)\)$/.test(line));
    for (const source of ['/h (', '/in of /h (', '/f (', '/x of layers ('])
      assert.ok(
        plain.some((line) => line.includes(` ${source}`)),
        source,
      );
    for (const line of plain) assert.match(line, /nosuid/);
    const devices = plain.filter((line) => !line.includes('nodev'));
    for (const line of devices) assert.match(line, /fsmount (tmpfs|devpts) |\/dev\/|empty file over/);
  });

  it('puts the node of a device in its place as a mount of that file alone, the only one without nodev', () => {
    const device = { kind: 'device', target: '/opt/d', hostPath: '/dev/h', type: 'block', major: 259, minor: 300, mode: 0o660 } as const;
    const spec = { ...SPEC, mounts: [...SPEC.mounts, device] };
    const index = spec.mounts.length - 1;
    const operations = (of: ContainerSpec) =>
      containerProgram(of, INPUTS).operations.filter(({ subject }) => /mount6|\/opt\/d/.test(subject));
    assert.equal(index, 6);
    const [node, owner, tree, attributes, place, attached] = operations(spec);
    // mknod(2): S_IFBLK; makedev(259, 300) as include/linux/kdev_t.h packs it.
    assert.deepEqual([node?.syscall, node?.arguments], ['mknodat', [{ result: 'scratch' }, { text: 'mount6' }, 0o060660, 0x11032c]]);
    assert.deepEqual([owner?.syscall, owner?.arguments.slice(2)], ['fchownat', [1000, 1001, 0x100]]);
    assert.deepEqual([place?.syscall, place?.arguments[1]], ['openat2', { text: '/opt/d' }]);
    assert.deepEqual([tree?.syscall, tree?.arguments.slice(0, 2)], ['open_tree', [{ result: 'scratch' }, { text: 'mount6' }]]);
    assert.match(attributes?.subject ?? '', /\(nosuid,noexec\)$/);
    assert.equal(attached?.syscall, 'move_mount');
    // In a user namespace nothing is made: the machine's node is mounted.
    const [inside, ...rest] = operations({ ...spec, userNamespace: { ids: 'all' } });
    assert.deepEqual([inside?.syscall, inside?.arguments.slice(0, 2)], ['open_tree', [-100, { text: '/dev/h' }]]);
    assert.ok(!rest.some(({ syscall }) => syscall === 'mknodat' || syscall === 'fchownat'));
  });

  it('takes the network that the spec says and no other', () => {
    const flags = (network: ContainerSpec['network']) => (containerProgram({ ...SPEC, network }, INPUTS).namespaces & 0x40000000) !== 0;
    assert.deepEqual([flags('private'), flags('none'), flags('host')], [false, true, false]);
    assert.notEqual(position(/^setns the network/), -1);
    assert.equal(position(/^setns/, order({ ...SPEC, network: 'none' })), -1);
    assert.equal(position(/^(setns|ioctl)/, order({ ...SPEC, network: 'host' })), -1);
  });

  it('looks a bare command up along PATH, and takes a path as it is', () => {
    const exec = (argv: string[]) => {
      const last = containerProgram({ ...SPEC, process: { ...SPEC.process, argv } }, INPUTS).operations.at(-1)?.arguments[2];
      return typeof last === 'object' && 'texts' in last ? last.texts : [];
    };
    assert.deepEqual(exec(['sh', '-c']), ['init', '3', '/bin/sh', './sh', '/x/sh', 'sh', '-c']);
    assert.deepEqual(exec(['/a/b']), ['init', '1', '/a/b', '/a/b']);
    assert.throws(() => exec([]), { code: 'ERR_TSBUILD_RUN_NOT_STARTED' });
  });

  it('leaves the filter out only where the spec says unconfined', () => {
    assert.equal(position(/^seccomp/, order({ ...SPEC, seccomp: 'unconfined' })), -1);
  });
});

describe('containerProgram of a chroot', () => {
  const spec: ContainerSpec = { ...SPEC, rootfs: { directory: '/state/copy' }, mounts: [], isolation: 'chroot', network: 'host' };
  const inputs: ContainerInputs = { ...INPUTS, stdin: 'pipe' };

  it('mounts nothing, unshares nothing, and names no host', () => {
    const { namespaces, operations } = containerProgram(spec, inputs);
    assert.equal(namespaces, 0);
    const calls = new Set<string>(operations.map(({ syscall }) => syscall));
    const others = 'mount move_mount open_tree fsopen fsmount mount_setattr umount2 pivot_root unshare setns sethostname setdomainname';
    assert.deepEqual(
      others.split(' ').filter((call) => calls.has(call)),
      [],
    );
    assert.equal(containerProgram({ ...spec, network: 'none' }, inputs).namespaces, 0x40000000); // CLONE_NEWNET, linux/sched.h
  });

  it('changes its root by a descriptor, after what it needs of /proc and before what the image decides', () => {
    const steps = [
      /^prctl PR_SET_CHILD_SUBREAPER/,
      /^openat the list of its children/,
      /^openat \/state\/copy \(O_PATH\)/,
      /^fchdir to the root directory/,
      /^chroot to the root directory/,
      /^chdir \/ of the step/,
      /^openat2 the working directory/,
      /^prctl PR_GET_SECCOMP/,
      /^prctl PR_CAPBSET_DROP/,
      /^execveat/,
    ].map((pattern) => position(pattern, order(spec, inputs)));
    assert.ok(!steps.includes(-1), String(steps));
    assert.deepEqual(
      steps,
      steps.toSorted((a, b) => a - b),
    );
  });

  it('watches tsbuild by its socket alone, since it must not be killed before what it has started', () => {
    const lines = order(spec, inputs);
    assert.ok(lines.lastIndexOf('prctl PR_SET_PDEATHSIG (none)') > position(/^setresuid/, lines));
    assert.equal(lines.lastIndexOf('prctl PR_SET_PDEATHSIG'), 0);
    assert.ok(position(/^ppoll .*has tsbuild ended/, lines) > position(/PR_SET_PDEATHSIG \(none\)/, lines));
  });

  it('keeps one capability of an ordinary user beyond its exec, and none of root', () => {
    const ambient = (uid: number) =>
      order({ ...spec, process: { ...spec.process, uid } }, inputs).filter((line) => /AMBIENT_RAISE|inheritable too/.test(line));
    assert.deepEqual(ambient(1000), [
      'capset effective and permitted 0000000000000020, inheritable too',
      'prctl PR_CAP_AMBIENT_RAISE CAP_KILL',
    ]);
    assert.deepEqual(ambient(0), []);
  });
});
