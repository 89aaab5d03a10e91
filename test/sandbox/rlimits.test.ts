import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { checkRlimits, parseLimits, type Rlimit, type RlimitName, rlimitBytes, stepRlimits } from '../../src/sandbox/rlimits.ts';

describe('stepRlimits()', () => {
  it('never raises a hard limit, and says which it has lowered', () => {
    const own = parseLimits(readFileSync('/proc/self/limits', 'latin1'))('nofile');
    assert.ok(own !== undefined && own.hard !== 'unlimited');
    const most = { name: 'nofile', soft: own.hard, hard: own.hard } as const;
    assert.deepEqual(stepRlimits([{ name: 'nofile', soft: 'unlimited', hard: 'unlimited' }], 'caller'), {
      rlimits: [most],
      clamped: [most],
    });
    assert.deepEqual(stepRlimits([{ name: 'nofile', soft: 10, hard: 20 }], 'caller'), {
      rlimits: [{ name: 'nofile', soft: 10, hard: 20 }],
      clamped: [],
    });
  });

  it('lets no dump be made of a step with secrets, whatever was asked for', () => {
    const { rlimits, clamped } = stepRlimits([{ name: 'core', soft: 'unlimited', hard: 'unlimited' }], 'none');
    const core = rlimits.find(({ name }) => name === 'core');
    assert.ok(core !== undefined && Number(core.soft) <= 1 && Number(core.hard) <= 1, JSON.stringify(core));
    assert.deepEqual(clamped, []);
  });
});

describe('parseLimits()', () => {
  it('knows every limit by the name that this kernel prints', () => {
    const limits = parseLimits(readFileSync('/proc/self/limits', 'latin1'));
    const names = ['cpu', 'fsize', 'data', 'stack', 'core', 'rss', 'nproc', 'nofile', 'memlock', 'locks', 'sigpending', 'msgqueue', 'nice'];
    for (const name of [...names, 'rtprio', 'rttime'] as RlimitName[]) assert.equal(limits(name)?.name, name);
  });
});

describe('checkRlimits()', () => {
  it('refuses other names, values and orders', () => {
    const refuse = (limit: object, message: RegExp) => assert.throws(() => checkRlimits([limit as Rlimit]), message);
    refuse({ name: 'as', soft: 1, hard: 1 }, /"as" as --ulimit: no such limit/);
    refuse({ name: 'toString', soft: 1, hard: 1 }, /no such limit/);
    refuse({ name: 'nofile', soft: -1, hard: 1 }, /not a number/);
    refuse({ name: 'nofile', soft: 2, hard: 1 }, /above the hard one/);
    refuse({ name: 'nofile', soft: 'unlimited', hard: 1 }, /above the hard one/);
    checkRlimits([{ name: 'nofile', soft: 1, hard: 'unlimited' }]);
  });
});

describe('rlimitBytes()', () => {
  it('writes struct rlimit64, with all ones for no limit', () => {
    assert.equal(rlimitBytes({ name: 'core', soft: 258, hard: 'unlimited' }).toString('hex'), '0201000000000000ffffffffffffffff');
  });
});
