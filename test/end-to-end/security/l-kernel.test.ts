/** What of the kernel a step reaches. L1, each system call number, is in facts.test.ts; the network's rows are with the network. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Attack, makeAttack } from './_attack.ts';
import { compileProbe, fileOfImage, parseFacts, probeContext } from './_probe.ts';

describe('the kernel, from a step', { skip: process.arch === 'x64' ? false : 'the probe is written for x86-64' }, () => {
  let attack: Attack;
  let facts: ReadonlyMap<string, string>;

  before(async () => {
    attack = await makeAttack();
    const { world } = attack;
    const dockerfile = 'FROM busybox\nCOPY facts-probe /\nRUN ["/facts-probe", "/facts"]\n';
    await world.succeed(['-t', 'kernel', '--network=none', probeContext(world, dockerfile, [compileProbe(world, 'facts')])]);
    facts = parseFacts(await fileOfImage(world, 'kernel', '/facts'));
  });
  after(async () => {
    attack.assertUnharmed();
    await attack[Symbol.asyncDispose]();
  });

  function every(names: readonly string[], expected: string): void {
    assert.deepEqual(
      names.filter((name) => facts.get(name) !== expected).map((name) => `${name}: ${facts.get(name)}`),
      [],
    );
  }

  test('L2 AF_ALG and AF_VSOCK are refused by the filter, not for want of them in the kernel (CVE-2026-31431)', () => {
    every(['try.af-alg', 'try.af-vsock', 'try.af-alg-high'], 'EPERM');
  });

  test('L7 shared memory is bounded, and that of others is not there (CVE-2024-3056)', () => {
    every(['shm.capacity'], `${64 * 1024 * 1024} ENOSPC`);
    every(['ipc.segments'], '1');
  });

  test('L8 no setting of the kernel, clock, module or name can be changed', () => {
    every(['sysctl.many'], 'yes');
    every(['sysctl.open'], '0');
    const calls = ['settimeofday', 'clock_settime', 'reboot', 'init_module', 'finit_module', 'delete_module', 'sethostname', 'kexec_load'];
    every(
      calls.map((name) => `try.${name}`),
      'EPERM',
    );
  });

  test('L9 bpf, perf, userfaultfd and io_uring are refused, and no process of the host can be traced', () => {
    const calls = ['bpf', 'perf_event_open', 'userfaultfd', 'io_uring_setup', 'ptrace-pid1', 'pidfd_getfd', 'kcmp'];
    every(
      calls.map((name) => `try.${name}`),
      'EPERM',
    );
    assert.deepEqual(
      [...facts.keys()].filter((name) => /^process\.(?!self$|1$)/.test(name)),
      [],
    );
  });

  test('B9 a program that leaves its chroot is still in the container', () => {
    every(['try.chroot'], 'ok');
    every(['chroot-escape'], 'in the container');
  });
});
