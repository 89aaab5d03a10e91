import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { deviceDirectories, readDevices } from '../../../src/sandbox/devices/read-devices.ts';
import { described, specification } from './_specification.ts';

const NODE = { path: '/dev/a' };

test('deviceDirectories() are those of the interface, or others that are absolute', () => {
  assert.deepEqual(deviceDirectories({}), ['/etc/cdi', '/var/run/cdi']);
  assert.deepEqual(deviceDirectories({ TSBUILD_CDI_DIRS: '/a:b::/c' }), ['/a', '/c']);
  assert.deepEqual(deviceDirectories({ TSBUILD_CDI_DIRS: '' }), []);
});

describe('readDevices()', () => {
  test('reads JSON and YAML alike, and nothing else', async (t) => {
    const yaml = [
      'cdiVersion: 0.6.0',
      'kind: vendor.test/other',
      'annotations: {org.mobyproject.buildkit.device.autoallow: true, __proto__: x}',
      'containerEdits: {env: [COMMON=1]}',
      'devices:',
      '- name: "0:1"',
      '  containerEdits:',
      '    deviceNodes:',
      '    - {path: //dev/./b, hostPath: /dev/zero, type: c, major: 1, minor: 5, fileMode: 0666, uid: 7, gid: 8, permissions: rwm}',
      '    mounts:',
      '    - {hostPath: /usr, containerPath: /opt/usr, options: [rbind, ro, noexec]}',
      '    additionalGids: [44]',
    ].join('\n');
    const ignored = { 'b.yml': yaml, 'c.json5': '{}', note: '' };
    const [directory = ''] = described(t, { 'a.json': specification({ deviceNodes: [NODE] }), 'b.yaml': yaml, ...ignored });
    const { devices, faults } = await readDevices([directory, '/nowhere', join(directory, 'a.json')]);
    assert.deepEqual(faults, []);
    assert.deepEqual([...devices.keys()], ['vendor.test/other=0:1', 'vendor.test/thing=a']);
    const device = devices.get('vendor.test/other=0:1');
    assert.deepEqual(
      [...(device?.annotations ?? [])],
      [
        ['org.mobyproject.buildkit.device.autoallow', 'true'],
        ['__proto__', 'x'],
      ],
    );
    assert.deepEqual(device?.common.env, ['COMMON=1']);
    assert.deepEqual(device?.own, {
      env: [],
      nodes: [{ path: '/dev/b', hostPath: '/dev/zero', type: 'char', number: { major: 1, minor: 5 }, mode: 0o666, uid: 7, gid: 8 }],
      mounts: [{ hostPath: '/usr', containerPath: '/opt/usr', access: 'read-only', execute: 'never' }],
      groups: [44],
      unsupported: undefined,
    });
  });

  test('takes what a later directory says, and nothing that two files of one directory say', async (t) => {
    const [first = '', second = '', third = ''] = described(
      t,
      { 'a.json': specification({ env: ['OF=first'] }) },
      { 'a.json': specification({ env: ['OF=second'] }) },
      { 'a.json': specification({ env: ['A=1'] }), 'b.json': specification({ env: ['B=1'] }) },
    );
    const device = (await readDevices([first, second])).devices.get('vendor.test/thing=a');
    assert.deepEqual(device?.own.env, ['OF=second']);
    const { devices, faults } = await readDevices([first, third]);
    assert.equal(devices.size, 0);
    assert.match(faults.join(), /vendor\.test\/thing=a: .*a\.json and .*b\.json/);
  });

  test('names what a device asks for that tsbuild does not do, and leaves the device there', async (t) => {
    for (const [edits, what] of [
      [{ hooks: [{ hookName: 'createContainer', path: '/usr/bin/x' }] }, 'the hook "createContainer"'],
      [{ intelRdt: { closID: 'x' } }, 'intelRdt'],
      [{ netDevices: [{ hostInterfaceName: 'eth0', name: 'x' }] }, 'netDevices'],
    ] as const) {
      const { devices, faults } = await readDevices(described(t, { 'a.json': specification(edits) }));
      assert.deepEqual([devices.get('vendor.test/thing=a')?.own.unsupported, faults], [what, []]);
    }
  });

  const hostile: Readonly<Record<string, readonly [file: string, content: string | Buffer, fault: RegExp]>> = {
    'no JSON': ['a.json', '{"cdiVersion"', /Cannot read the device specification .*a\.json/],
    'a name that is given twice': ['a.json', '{"kind":"a/b","kind":"c/d"}', /given twice/],
    'a version that is unknown': ['a.json', specification({}, { cdiVersion: '9.0.0' }), /cdiVersion "9\.0\.0" is unknown/],
    'no version': ['a.json', specification({}, { cdiVersion: undefined }), /cdiVersion is missing/],
    'a kind without a vendor': ['a.json', specification({}, { kind: 'thing' }), /is not vendor\/class/],
    'a kind that leads elsewhere': ['a.json', specification({}, { kind: '../../x' }), /is not vendor\/class/],
    'no devices': ['a.json', specification({}, { devices: [] }), /0 devices/],
    'too many devices': ['a.json', specification({}, { devices: Array(5000).fill({ name: 'a', containerEdits: {} }) }), /5000 devices/],
    'two of a name': [
      'a.json',
      specification({}, { devices: Array(2).fill({ name: 'a', containerEdits: {} }) }),
      /two devices have one name/,
    ],
    'a name of blanks': ['a.json', specification({}, { devices: [{ name: 'a b', containerEdits: {} }] }), /"a b" is no name/],
    'a field that is unknown': ['a.json', specification({ deviceNodes: [{ ...NODE, mknod: true }] }), /unknown field "mknod"/],
    'a field in other letters': ['a.json', specification({ DeviceNodes: [NODE] }), /spells deviceNodes as "DeviceNodes"/],
    'a relative path': ['a.json', specification({ deviceNodes: [{ path: 'dev/a' }] }), /"dev\/a" is no absolute path/],
    'a path upwards': ['a.json', specification({ deviceNodes: [{ path: '/dev/../etc/a' }] }), /no absolute path/],
    'the root': ['a.json', specification({ mounts: [{ hostPath: '/', containerPath: '/x' }] }), /"\/" is no absolute path/],
    'a NUL byte': ['a.json', specification({ deviceNodes: [{ path: '/dev/a\0b' }] }), /no absolute path/],
    'a FIFO': ['a.json', specification({ deviceNodes: [{ ...NODE, type: 'p' }] }), /type "p" is not b, c or u/],
    'half of a number': [
      'a.json',
      specification({ deviceNodes: [{ ...NODE, type: 'c', major: 1.5 }] }),
      /major is not a whole number up to 4095/,
    ],
    'a minor of 21 bits': ['a.json', specification({ deviceNodes: [{ ...NODE, type: 'c', major: 1, minor: 1 << 20 }] }), /minor is not/],
    'a mode as text': ['a.json', specification({ deviceNodes: [{ ...NODE, fileMode: '0666' }] }), /fileMode is not a whole number/],
    'permissions that cannot be kept': [
      'a.json',
      specification({ deviceNodes: [{ ...NODE, permissions: 'r' }] }),
      /cannot limit a device to "r"/,
    ],
    'permissions that are none': ['a.json', specification({ deviceNodes: [{ ...NODE, permissions: 'rwx' }] }), /not of rwm/],
    'a variable without a value': ['a.json', specification({ env: ['A'] }), /"A" in env is not NAME=value/],
    'a mount that is shared': [
      'a.json',
      specification({ mounts: [{ hostPath: '/a', containerPath: '/a', options: ['rshared'] }] }),
      /option "rshared" is not one/,
    ],
    'a mount with setuid programs': [
      'a.json',
      specification({ mounts: [{ hostPath: '/a', containerPath: '/a', options: ['suid'] }] }),
      /option "suid" is not one/,
    ],
    'a file system to mount': ['a.json', specification({ mounts: [{ hostPath: '/a', containerPath: '/a', type: 'ext4' }] }), /type "ext4"/],
    'a group below zero': ['a.json', specification({ additionalGids: [-1] }), /additionalGids is not a whole number/],
    'annotations that are no text': ['a.json', specification({}, { annotations: { a: {} } }), /something else than text/],
    'YAML that is none': ['a.yaml', 'a: [', /Cannot read the device specification .*a\.yaml/],
    'two documents': ['a.yaml', 'a: 1\n---\nb: 1\n', /multiple documents/i],
    'a key that is given twice in YAML': ['a.yaml', 'kind: a/b\nkind: c/d\n', /unique/i],
    'aliases without end': [
      'a.yaml',
      `a0: &a0 [x]\n${Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`).join('\n')}\n`,
      /alias/i,
    ],
    'nesting without end': ['a.yaml', `a: ${'['.repeat(100_000)}`, /Cannot read/],
    'a key that is a list': ['a.yaml', '[a]: b\n', /a key is no text/],
    'a tag': ['a.yaml', 'cdiVersion: !!binary aGFsbG8=\n', /Cannot read|cdiVersion/],
    'bytes that are no text': ['a.yaml', Buffer.from([0xff, 0xfe, 0x41]), /Cannot read/],
    'more than is read': ['a.json', Buffer.alloc((4 << 20) + 1, 0x20), /4194305 bytes, at most/],
  };
  for (const [what, [file, content, fault]] of Object.entries(hostile)) {
    test(`finds no device but a fault in ${what}, and reads the other files`, async (t) => {
      const [directory = ''] = described(t, { [file]: content, 'z.json': specification({}, { kind: 'good.test/thing' }) });
      const { devices, faults } = await readDevices([directory]);
      assert.deepEqual([...devices.keys()], ['good.test/thing=a']);
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', fault);
      assert.ok((faults[0] ?? '').length < 500);
    });
  }

  test('waits for no FIFO, and reads no device', async (t) => {
    const [directory = ''] = described(t, {});
    execFileSync('mkfifo', [join(directory, 'a.json')]);
    symlinkSync('/dev/zero', join(directory, 'b.yaml'));
    symlinkSync('nowhere', join(directory, 'c.json'));
    const { devices, faults } = await readDevices([directory]);
    assert.equal(devices.size, 0);
    assert.deepEqual(
      faults.map((fault) => /([ab]\.\w+): not a regular file$/.exec(fault)?.[1]),
      ['a.json', 'b.yaml'],
    );
  });
});
