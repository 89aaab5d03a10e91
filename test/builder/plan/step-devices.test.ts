import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceGrants } from '../../../src/builder/plan/device-grants.ts';
import type { Entitlement } from '../../../src/builder/plan/entitlements.ts';
import { devicesOf } from '../../../src/sandbox/devices/device-specification.ts';
import type { MachineDevices } from '../../../src/sandbox/devices/read-devices.ts';
import { type PlanInput, plan, planFailure } from './_plan.ts';

const AUTO = 'org.mobyproject.buildkit.device.autoallow';

/** `vendor.test/gpu` with the devices 0, 1 and, free for all, 2. */
const machine: MachineDevices = {
  devices: new Map(
    devicesOf(
      {
        cdiVersion: '1.0.0',
        kind: 'vendor.test/gpu',
        devices: [
          { name: '0', containerEdits: {} },
          { name: '1', containerEdits: { hooks: [{ hookName: 'prestart', path: '/x' }] } },
          { name: '2', containerEdits: {}, annotations: { [AUTO]: 'true' } },
          { name: '3', containerEdits: {}, annotations: { [AUTO]: 'no' } },
        ],
      },
      'gpu.json',
    ).map((device) => [device.name, device]),
  ),
  faults: [],
};

const text = (flag: string) => `FROM a\nUSER x\nRUN --device=${flag} y\n`;
const allowing = (...allowed: Entitlement[]): PlanInput => ({ machine, allowed: new Set(allowed) });
const given = (flag: string, ...allowed: Entitlement[]) => {
  const { devices, missing } = plan(text(flag), allowing(...allowed)).stages[0]?.steps[2]?.devices ?? {};
  return [devices?.map(({ name }) => name.split('=')[1]), missing];
};

test('planBuild says that it has to know what devices there are, and judges none before', () => {
  const { devices, stages } = plan(text('vendor.test/gpu=0,required'));
  assert.deepEqual([devices, stages[0]?.steps[2]?.devices], ['unknown', undefined]);
  assert.equal(plan('FROM a\nRUN x\n').devices, 'known');
  assert.equal(plan('FROM a AS unused\nRUN --device=a/b x\nFROM b\n').devices, 'known');
});

test('planBuild gives a step the devices that the command line allows', () => {
  assert.deepEqual(given('vendor.test/gpu=0', 'device'), [['0'], []]);
  assert.deepEqual(given('vendor.test/gpu=0', 'device=vendor.test/gpu=0'), [['0'], []]);
  assert.deepEqual(given('vendor.test/gpu', 'device=vendor.test/gpu=*'), [['0'], []]);
  assert.deepEqual(given('gpu', 'device=vendor.test/gpu=0,alias=gpu'), [['0'], []]);
  assert.deepEqual(given('vendor.test/gpu=2'), [['2'], []]);
  assert.deepEqual(given('vendor.test/gpu=9'), [[], ['vendor.test/gpu=9']]);
  assert.deepEqual(given('vendor.test/gpu=0 --device=vendor.test/gpu=2 --device=vendor.test/gpu=0', 'device'), [['0', '2'], []]);
});

test('planBuild refuses devices at the flag: not allowed, not there, not supported, no name', () => {
  const refused = /^NOT_ALLOWED .*vendor\.test\/gpu=0 \(3\)$/;
  assert.match(planFailure(text('vendor.test/gpu=0'), allowing()), refused);
  assert.match(planFailure(text('vendor.test/gpu=0'), allowing('device=vendor.test/gpu=2', 'network.host')), refused);
  assert.match(planFailure(text('vendor.test/gpu=0'), allowing('device=vendor.test/gpu=0,alias=gpu')), refused);
  assert.match(
    planFailure(text('vendor.test/gpu=*'), allowing('device=vendor.test/gpu=0', 'device=vendor.test/gpu=1')),
    /UNSUPPORTED|NOT_ALLOWED/,
  );
  assert.match(planFailure(text('vendor.test/gpu=3'), allowing()), /^NOT_ALLOWED/);
  assert.match(planFailure(text('vendor.test/gpu=9,required'), allowing('device')), /^DEVICE_NOT_FOUND .*gpu=9".*gpu=0.* \(3\)$/);
  assert.match(planFailure(text('vendor.test/gpu=1'), allowing('device')), /^UNSUPPORTED .*the hook "prestart" in gpu\.json .*\(3\)$/);
  assert.match(planFailure(text('gpu'), allowing('device')), /^DOCKERFILE_SYNTAX .*not vendor\/class=name \(3\)$/);
});

test('deviceGrants() reads what --allow says of devices, and refuses what it does not know', () => {
  const { all, names, aliases } = deviceGrants(['network.host', 'device=a/b=c', 'device=d/e,alias=x', 'device=f/g=*']);
  assert.deepEqual([all, names, [...aliases]], [false, ['a/b=c', 'f/g=*'], [['x', 'd/e']]]);
  assert.equal(deviceGrants(['device']).all, true);
  for (const word of ['device=', 'device=a/b,alias', 'device=a/b,alias=', 'device=a/b,name=c', 'device=a/b,alias=x,alias=y', 'device="a']) {
    assert.throws(() => deviceGrants([word]), { code: 'ERR_TSBUILD_USAGE' }, word);
  }
});
