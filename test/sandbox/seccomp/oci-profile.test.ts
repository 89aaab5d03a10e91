import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_CAPABILITIES } from '../../../src/sandbox/container-defaults.ts';
import { type OciSyscalls, ociSeccomp } from '../../../src/sandbox/seccomp/oci-profile.ts';
import { namedVerdicts } from '../../../src/sandbox/seccomp/rules.ts';

const OPTIONS = { capabilities: DEFAULT_CAPABILITIES, kernel: { major: 6, minor: 1 } };

/** What libseccomp does of one call, seccomp_rule_add(3): the first rule whose arguments all hold. */
function actionOf(rules: readonly OciSyscalls[], name: string, argument: bigint): string {
  const found = rules.find(
    ({ names, args = [] }) =>
      names.includes(name) &&
      args.every(({ op, value, valueTwo = 0 }) =>
        op === 'SCMP_CMP_EQ' ? argument === BigInt(value) : (argument & BigInt(value)) === BigInt(valueTwo),
      ),
  );
  if (found === undefined) return 'refuse';
  return found.action === 'SCMP_ACT_ALLOW' ? 'allow' : `errno ${found.errnoRet}`;
}

for (const [arch, abi] of [
  ['x64', 'x86-64'],
  ['arm64', 'aarch64'],
] as const) {
  test(`ociSeccomp says of every call of ${arch} what the filter says`, () => {
    const { defaultAction, defaultErrnoRet, syscalls } = ociSeccomp(arch, OPTIONS);
    assert.deepEqual([defaultAction, defaultErrnoRet], ['SCMP_ACT_ERRNO', 1]);
    const verdicts = namedVerdicts(abi, OPTIONS);
    assert.ok(verdicts.size > 300);
    for (const [name, verdict] of verdicts) {
      if (verdict === 'allow') assert.equal(actionOf(syscalls, name, 0n), 'allow', name);
      if (verdict === 'refuse') assert.equal(actionOf(syscalls, name, 0n), 'refuse', name);
    }
    for (const name of ['mount', 'bpf', 'keyctl', 'unshare', 'setns', 'init_module']) assert.equal(actionOf(syscalls, name, 0n), 'refuse');
    assert.equal(actionOf(syscalls, 'clone3', 0n), 'errno 38');
  });
}

test('ociSeccomp looks at the first argument of clone, personality and socket', () => {
  const { syscalls } = ociSeccomp('x64', OPTIONS);
  assert.equal(actionOf(syscalls, 'clone', 0x11n), 'allow');
  assert.equal(actionOf(syscalls, 'clone', 0x10000011n), 'refuse');
  assert.equal(actionOf(syscalls, 'personality', 0xffffffffn), 'allow');
  assert.equal(actionOf(syscalls, 'personality', 0x40000n), 'refuse');
  assert.equal(actionOf(syscalls, 'socket', 2n), 'allow');
  for (const family of [38n, 40n, (1n << 32n) + 38n, 46n]) assert.equal(actionOf(syscalls, 'socket', family), 'refuse');
});
