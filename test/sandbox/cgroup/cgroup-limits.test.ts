import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type CgroupLimits,
  checkCgroupLimits,
  isLimited,
  knobsOfV1,
  knobsOfV2,
  weightOfShares,
} from '../../../src/sandbox/cgroup/cgroup-limits.ts';

const MIB = 1024 * 1024;

function written(knobs: ReturnType<typeof knobsOfV1>): string[] {
  return knobs.map(({ file, value }) => `${file}=${value}`);
}

describe('knobsOfV1() and knobsOfV2()', () => {
  const cases: [CgroupLimits, string[], string[]][] = [
    [{}, [], []],
    [
      { memory: 64 * MIB },
      ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=134217728'],
      ['memory.max=67108864', 'memory.swap.max=67108864'],
    ],
    [
      { memory: 64 * MIB, memorySwap: 64 * MIB },
      ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=67108864'],
      ['memory.max=67108864', 'memory.swap.max=0'],
    ],
    [
      { memory: 64 * MIB, memorySwap: 'unlimited' },
      ['memory.limit_in_bytes=67108864', 'memory.memsw.limit_in_bytes=-1'],
      ['memory.max=67108864', 'memory.swap.max=max'],
    ],
    [{ cpus: 1.5 }, ['cpu.cfs_period_us=100000', 'cpu.cfs_quota_us=150000'], ['cpu.max=150000 100000']],
    [{ cpuPeriod: 50_000 }, ['cpu.cfs_period_us=50000'], ['cpu.max=max 50000']],
    [{ cpuQuota: 20_000 }, ['cpu.cfs_quota_us=20000'], ['cpu.max=20000 100000']],
    [{ cpuShares: 1024 }, ['cpu.shares=1024'], ['cpu.weight=100']],
    [{ cpusetCpus: '0-1', cpusetMems: '0' }, ['cpuset.cpus=0-1', 'cpuset.mems=0'], ['cpuset.cpus=0-1', 'cpuset.mems=0']],
    [{ pids: 20 }, ['pids.max=20'], ['pids.max=20']],
  ];
  for (const [limits, v1, v2] of cases) {
    it(`write what ${JSON.stringify(limits)} means`, () => {
      assert.deepEqual(written(knobsOfV1(limits)), v1);
      assert.deepEqual(written(knobsOfV2(limits)), v2);
    });
  }

  it('need no kernel that counts swap unless swap was limited by name', () => {
    const optional = (limits: CgroupLimits) => [knobsOfV1(limits), knobsOfV2(limits)].map((knobs) => knobs[1]?.optional);
    assert.deepEqual(optional({ memory: 64 * MIB }), [true, true]);
    assert.deepEqual(optional({ memory: 64 * MIB, memorySwap: 64 * MIB }), [false, false]);
  });
});

describe('weightOfShares()', () => {
  it('goes through the ends and the default of both scales, and never down', () => {
    assert.deepEqual([2, 1024, 262_144].map(weightOfShares), [1, 100, 10_000]);
    let before = 0;
    for (let shares = 2; shares <= 262_144; shares += 97) {
      const weight = weightOfShares(shares);
      assert.ok(weight >= before && Number.isInteger(weight), String(shares));
      before = weight;
    }
  });
});

describe('checkCgroupLimits()', () => {
  const good: CgroupLimits[] = [
    {},
    { memory: 6 * MIB },
    { memory: 6 * MIB, memorySwap: 6 * MIB },
    { cpus: 2 },
    { cpus: 0.01 },
    { cpuPeriod: 1000, cpuQuota: 1000 },
    { cpusetCpus: '0' },
    { cpusetCpus: '0-1,3' },
    { pids: 1 },
    { cgroupParent: '/builds/nightly' },
    { cgroupParent: 'builds.slice' },
  ];
  for (const limits of good) it(`takes ${JSON.stringify(limits)}`, () => checkCgroupLimits(limits, 2));

  const bad: [CgroupLimits, RegExp][] = [
    [{ memory: 6 * MIB - 1 }, /--memory: the least that a program can start with is 6m/],
    [{ memory: 7.5e6 + 0.5 }, /--memory/],
    [{ memorySwap: 64 * MIB }, /--memory-swap: it counts together with --memory/],
    [{ memory: 64 * MIB, memorySwap: 63 * MIB }, /not less than --memory/],
    [{ cpus: 2.01 }, /--cpus: this machine has 0.01 to 2/],
    [{ cpus: 0.009 }, /--cpus/],
    [{ cpus: Number.NaN }, /--cpus/],
    [{ cpus: 1, cpuQuota: 5000 }, /same as --cpu-period and --cpu-quota/],
    [{ cpuPeriod: 999 }, /--cpu-period/],
    [{ cpuPeriod: 1_000_001 }, /--cpu-period/],
    [{ cpuQuota: 999 }, /--cpu-quota/],
    [{ cpuShares: 1 }, /--cpu-shares/],
    [{ cpusetCpus: '0,' }, /--cpuset-cpus/],
    [{ cpusetCpus: '0\n1' }, /--cpuset-cpus/],
    [{ cpusetMems: 'x' }, /--cpuset-mems/],
    [{ pids: 0 }, /--pids-limit/],
    ...['', '/', '..', '/a/../b', 'a//b', './a', 'a/', 'a\nb', `/${'x'.repeat(256)}`].map((cgroupParent): [CgroupLimits, RegExp] => [
      { cgroupParent },
      /--cgroup-parent: not a path of directories/,
    ]),
  ];
  for (const [limits, message] of bad) {
    it(`refuses ${JSON.stringify(limits).slice(0, 60)}`, () => assert.throws(() => checkCgroupLimits(limits, 2), message));
  }
});

describe('isLimited()', () => {
  it('is false where every limit is left open', () => {
    assert.equal(isLimited({ memory: undefined, cpusetCpus: undefined }), false);
    assert.equal(isLimited({ pids: 5 }), true);
    assert.equal(isLimited({ cgroupParent: '/a' }), true);
  });
});
