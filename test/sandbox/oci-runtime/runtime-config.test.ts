import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_READONLY_PATHS, defaultMaskedPaths, defaultMounts, type HostFacts } from '../../../src/sandbox/container-defaults.ts';
import type { ContainerSpec } from '../../../src/sandbox/container-spec.ts';
import { type RuntimeOptions, runtimeConfig } from '../../../src/sandbox/oci-runtime/runtime-config.ts';

const FACTS: HostFacts = { cgroup2: true, throttledCpus: [], userNamespace: 'initial', ids: 'all' };
const SPEC: ContainerSpec = {
  rootfs: { directory: '/nowhere' },
  mounts: [...defaultMounts(FACTS), { kind: 'text', target: '/etc/hosts', text: '127.0.0.1 localhost\n' }],
  process: {
    ...{
      argv: ['sh', '-c', 'echo "$A"'],
      env: ['A="},"rlimits":[]', 'PATH=/bin'],
      cwd: '/work',
      uid: 0,
      gid: 0,
      groups: [0, 10],
      umask: 0o22,
    },
    rlimits: [{ name: 'nofile', soft: 1024, hard: 'unlimited' }],
  },
  ...{ hostname: 'h', capabilities: ['CAP_CHOWN'], seccomp: 'default', devices: 'standard', network: 'private' },
  ...{ maskedPaths: defaultMaskedPaths(FACTS), readonlyPaths: DEFAULT_READONLY_PATHS },
};
const OPTIONS: RuntimeOptions = { network: 'own', resolvConf: '', arch: 'x64', kernel: { major: 6, minor: 1 } };

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
function config(changes: Partial<ContainerSpec> = {}, options: Partial<RuntimeOptions> = {}): any {
  return JSON.parse(runtimeConfig({ ...SPEC, ...changes }, { ...OPTIONS, ...options }).json);
}

function types(namespaces: readonly { type: string }[]): string[] {
  return namespaces.map(({ type }) => type);
}

describe('runtimeConfig', () => {
  test('writes the process as it is, and no limit less exactly', () => {
    const { json } = runtimeConfig(SPEC, OPTIONS);
    assert.match(json, /"rlimits":\[\{"type":"RLIMIT_NOFILE","soft":1024,"hard":18446744073709551615\}\]/);
    const { process } = config();
    assert.deepEqual([process.args, process.env, process.cwd], [SPEC.process.argv, SPEC.process.env, '/work']);
    assert.deepEqual(process.user, { uid: 0, gid: 0, umask: 0o22, additionalGids: [0, 10] });
    assert.deepEqual(process.capabilities.effective, ['CAP_CHOWN']);
    assert.deepEqual(process.capabilities.ambient, []);
  });

  test('leaves a user other than root the bounding set only', () => {
    const { capabilities } = config({ process: { ...SPEC.process, uid: 7 } }).process;
    assert.deepEqual([capabilities.bounding, capabilities.effective, capabilities.permitted], [['CAP_CHOWN'], [], []]);
  });

  test('makes every namespace but those that it is in already', () => {
    assert.deepEqual(types(config().linux.namespaces), ['pid', 'ipc', 'uts', 'mount', 'cgroup', 'network']);
    assert.ok(!types(config({}, { network: 'inherited' }).linux.namespaces).includes('network'));
    assert.ok(!types(config({ network: 'host' }).linux.namespaces).includes('network'));
    const ids = { uids: [{ inside: 0, outside: 1000, size: 1 }], gids: [{ inside: 0, outside: 1000, size: 1 }] };
    const { linux, process } = config({ userNamespace: { ids: 'one' } }, { userNamespace: ids });
    assert.ok(types(linux.namespaces).includes('user'));
    assert.deepEqual(linux.uidMappings, [{ containerID: 0, hostID: 1000, size: 1 }]);
    assert.deepEqual(process.user.additionalGids, []);
  });

  test('keeps masks, read-only paths, devices and limits', () => {
    const { linux, root } = config({ limits: { memory: 64 << 20, cpus: 1.5, pids: 20 }, rootAccess: 'read-only' });
    assert.ok(linux.maskedPaths.includes('/proc/kcore'));
    assert.deepEqual(linux.readonlyPaths, DEFAULT_READONLY_PATHS);
    assert.deepEqual(linux.resources.devices, [{ allow: false, access: 'rwm' }]);
    assert.deepEqual(linux.resources.memory, { limit: 64 << 20, swap: 128 << 20 });
    assert.deepEqual(linux.resources.cpu, { period: 100_000, quota: 150_000 });
    assert.deepEqual(linux.resources.pids, { limit: 20 });
    assert.deepEqual(root, { path: 'rootfs', readonly: true });
    assert.equal(config({ seccomp: 'unconfined' }).linux.seccomp, undefined);
  });

  test('lets the runtime make a device that was given, and binds the machine’s in a user namespace', () => {
    const node = { kind: 'device', target: '/dev/x', hostPath: '/dev/y', type: 'block', major: 7, minor: 300, mode: 0o640 } as const;
    const mounts = [...SPEC.mounts, node];
    const { linux } = config({ mounts });
    assert.deepEqual(linux.devices, [{ path: '/dev/x', type: 'b', major: 7, minor: 300, fileMode: 0o640, uid: 0, gid: 0 }]);
    assert.deepEqual(linux.resources.devices.at(-1), { allow: true, type: 'b', major: 7, minor: 300, access: 'rwm' });
    const inside = config({ mounts, userNamespace: { ids: 'one' } });
    assert.deepEqual(inside.linux.devices, []);
    const bound = inside.mounts.find(({ destination }: { destination: string }) => destination === '/dev/x');
    assert.deepEqual([bound.source, bound.options], ['/dev/y', ['bind', 'nosuid', 'noexec']]);
  });

  test('gives files of its own by a path of the bundle, read-only', () => {
    const { files } = runtimeConfig(SPEC, OPTIONS);
    const hosts = config().mounts.find(({ destination }: { destination: string }) => destination === '/etc/hosts');
    assert.deepEqual(hosts.options, ['bind', 'nosuid', 'nodev', 'noexec', 'ro']);
    assert.equal(hosts.source, files[0]?.path);
    assert.equal(files[0]?.bytes.toString(), '127.0.0.1 localhost\n');
  });
});
