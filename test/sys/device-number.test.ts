import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { packDevice, splitDevice } from '../../src/sys/device-number.ts';

test('splitDevice() and packDevice() agree with stat(2), and with each other up to the largest number', () => {
  assert.deepEqual(splitDevice(statSync('/dev/zero').rdev), { major: 1, minor: 5 });
  assert.equal(packDevice({ major: 1, minor: 5 }), statSync('/dev/zero').rdev);
  for (const number of [
    { major: 0, minor: 0 },
    { major: 7, minor: 256 },
    { major: 0xfff, minor: 0xf_ffff },
    { major: 259, minor: 70_000 },
  ]) {
    assert.deepEqual(splitDevice(packDevice(number)), number);
    assert.ok(packDevice(number) >= 0);
  }
});
