import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from './_world.ts';

/** A minute's worth of what `scripts/vm-test.sh` knows. */
const CHECKS = [
  'check_10_the_machine_has_pure_cgroup_v2',
  'check_11_a_root_file_system_becomes_an_image',
  'check_50_limits_of_a_step_are_in_its_own_group',
  'check_51_a_step_out_of_memory_is_told_as_such',
];

test('X9 limits count, and kills for want of memory are named, on Debian’s kernel with pure cgroup v2', { timeout: 600_000 }, async () => {
  const { code, stdout, stderr } = await runCommand('scripts/vm-test.sh', CHECKS);
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, new RegExp(`^${CHECKS.length} passed, 0 failed$`, 'm'));
});
