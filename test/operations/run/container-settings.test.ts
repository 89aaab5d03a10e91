import assert from 'node:assert/strict';
import { test } from 'node:test';
import { processEnv } from '../../../src/operations/run/container-settings.ts';

test('processEnv() takes no entry of an image without a name and a value, and never a value of the caller (CVE-2026-57231)', () => {
  const Env = ['HOME', '*', '', '=x', 'A=B=C', 'PATH=/bin', 'A=later'];
  assert.deepEqual(processEnv({ Env }, { name: 'image' }), ['A=later', 'PATH=/bin']);
  assert.deepEqual(processEnv({ Env: ['A=1'] }, { name: 'image', env: ['HOME', 'B='] }), ['A=1', 'B=']);
});
