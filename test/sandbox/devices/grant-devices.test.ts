import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Device } from '../../../src/sandbox/devices/device-specification.ts';
import { deviceNotFound, findDevices } from '../../../src/sandbox/devices/find-devices.ts';
import { grantDevices } from '../../../src/sandbox/devices/grant-devices.ts';
import { type MachineDevices, readDevices } from '../../../src/sandbox/devices/read-devices.ts';
import { described, specification } from './_specification.ts';

const ROOT = { userNamespace: 'initial' } as const;
const USER = { userNamespace: 'own' } as const;
const CLASS = { 'org.mobyproject.buildkit.device.class': 'big' };

async function machine(t: TestContext, ...specifications: readonly string[]): Promise<MachineDevices> {
  const files = Object.fromEntries(specifications.map((text, index) => [`${index}.json`, text]));
  const found = await readDevices(described(t, files));
  assert.deepEqual(found.faults, []);
  return found;
}

const one = async (t: TestContext, edits: object): Promise<Device[]> => [...(await machine(t, specification(edits))).devices.values()];

test('findDevices() takes a name, all of a kind, the first of a kind, and those that an annotation calls so', async (t) => {
  const devices = ['b', 'a', 'c'].map((name) => ({ name, containerEdits: {}, ...(name === 'a' ? {} : { annotations: CLASS }) }));
  const found = await machine(t, specification({}, { devices }), specification({}, { kind: 'other.test/thing' }));
  const names = (wanted: string) => findDevices(found, wanted).map(({ name }) => name.split('=')[1]);
  assert.deepEqual(names('vendor.test/thing=b'), ['b']);
  assert.deepEqual(names('vendor.test/thing=*'), ['a', 'b', 'c']);
  assert.deepEqual(names('vendor.test/thing'), ['a']);
  assert.deepEqual(names('vendor.test/thing=big'), ['b', 'c']);
  assert.deepEqual([names('vendor.test/thing=d'), names('vendor.test/thin=*'), names('nobody.test/thing')], [[], [], []]);
  for (const wanted of ['', 'thing', '/dev/kvm', 'a/b/c', '../x=*', '*']) {
    assert.throws(() => findDevices(found, wanted), { code: 'ERR_TSBUILD_USAGE' });
  }
  assert.match(deviceNotFound(found, 'x/y').message, /"x\/y": this machine has other\.test\/thing=a, vendor\.test\/thing=a/);
});

test('grantDevices() gives what is for all devices of a file once, and the later of two things in one place', async (t) => {
  const node = (path: string) => ({ path, type: 'c', major: 1, minor: 5 });
  const devices = [
    { name: 'a', containerEdits: { env: ['WHO=a', 'A=1=2'], deviceNodes: [node('/dev/x')], additionalGids: [0, 5] } },
    { name: 'b', containerEdits: { env: ['WHO=b'], deviceNodes: [{ ...node('/dev/x'), minor: 7 }], additionalGids: [5, 6] } },
  ];
  const found = await machine(
    t,
    specification({}, { devices, containerEdits: { env: ['WHO=all', 'ALL=1'], deviceNodes: [node('/dev/y')] } }),
  );
  const { mounts, env, groups } = grantDevices([...found.devices.values(), ...found.devices.values()], ROOT);
  assert.deepEqual(
    mounts.map((mount) => mount.kind === 'device' && [mount.target, mount.minor]),
    [
      ['/dev/y', 5],
      ['/dev/x', 7],
    ],
  );
  assert.deepEqual(Object.fromEntries(env), { WHO: 'b', ALL: '1', A: '1=2' });
  assert.deepEqual(groups, [5, 6]);
});

test('grantDevices() takes from the machine what a node does not say, and makes what is said whole', async (t) => {
  const [mount] = grantDevices(await one(t, { deviceNodes: [{ path: '/opt/zero', hostPath: '/dev/zero', uid: 4 }] }), ROOT).mounts;
  const rest = { hostPath: '/dev/zero', type: 'char', major: 1, minor: 5, mode: 0o666, uid: 4 };
  assert.deepEqual(mount, { kind: 'device', target: '/opt/zero', ...rest });
  const whole = await one(t, { deviceNodes: [{ path: '/dev/never-there', type: 'b', major: 259, minor: 3, fileMode: 0o100640 & 0o7777 }] });
  assert.deepEqual(grantDevices(whole, ROOT).mounts, [
    { kind: 'device', target: '/dev/never-there', hostPath: '/dev/never-there', type: 'block', major: 259, minor: 3, mode: 0o640 },
  ]);
  assert.throws(() => grantDevices(whole, USER), { code: 'ERR_TSBUILD_DEVICE_INVALID', message: /nothing there/ });
});

test('grantDevices() refuses in a user namespace a node that is not the machine’s, and anywhere one that is none', async (t) => {
  const other = await one(t, { deviceNodes: [{ path: '/dev/x', hostPath: '/dev/zero', type: 'c', major: 1, minor: 3 }] });
  assert.throws(() => grantDevices(other, USER), {
    code: 'ERR_TSBUILD_DEVICE_INVALID',
    message: /\/dev\/zero: this machine has something else/,
  });
  assert.equal(grantDevices(other, ROOT).mounts.length, 1);
  for (const [hostPath, type] of [
    ['/etc/passwd', ''],
    ['/dev/zero', 'b'],
    ['/dev', ''],
  ]) {
    const wrong = await one(t, { deviceNodes: [{ path: '/dev/x', hostPath, type }] });
    assert.throws(() => grantDevices(wrong, ROOT), { code: 'ERR_TSBUILD_DEVICE_INVALID', message: /something else/ });
  }
  const mount = await one(t, { mounts: [{ hostPath: '/nowhere/at/all', containerPath: '/x' }] });
  assert.throws(() => grantDevices(mount, ROOT), { code: 'ERR_TSBUILD_DEVICE_INVALID', message: /nothing there to mount/ });
  const hook = await one(t, { hooks: [{ hookName: 'x', path: '/x' }] });
  assert.throws(() => grantDevices(hook, ROOT), { code: 'ERR_TSBUILD_UNSUPPORTED', message: /vendor\.test\/thing=a: the hook "x"/ });
});
