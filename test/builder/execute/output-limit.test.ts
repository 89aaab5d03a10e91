import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openOutputLimiter, outputLimits } from '../../../src/builder/execute/output-limit.ts';

/** Its end, from the last of the flood on. */
const tail = (data: Uint8Array) =>
  Buffer.from(data)
    .toString()
    .replace(/^x+(?=x\n)/, '');
const bytes = (length: number) => Buffer.alloc(length, 'x');

describe('openOutputLimiter()', () => {
  it('passes on what is within both limits, as it is', () => {
    const limit = openOutputLimiter({ total: 100, perSecond: 50 }, () => 0);
    const data = bytes(50);
    assert.equal(limit(data), data);
  });

  it('clips at the whole and says so once', () => {
    const limit = openOutputLimiter({ total: 100, perSecond: undefined }, () => 0);
    assert.equal(Buffer.from(limit(bytes(99))).toString(), 'x'.repeat(99));
    assert.equal(Buffer.from(limit(bytes(10))).toString(), 'x\n[output clipped, log limit 100B reached]\n');
    for (let i = 0; i < 3; i++) assert.equal(limit(bytes(10)).length, 0);
  });

  it('clips by speed, counts what it left out, and goes on once the mean speed is fair again', () => {
    let time = 0;
    const limit = openOutputLimiter({ total: 2 * 1024 * 1024, perSecond: 200 * 1024 }, () => time);
    assert.equal(tail(limit(bytes(500 * 1024))), 'x\n[output clipped, log speed 200KiB/s reached]\n');
    time = 1500;
    assert.equal(limit(bytes(10)).length, 0);
    time = 2500;
    assert.equal(limit(bytes(10)).length, 10);
    assert.match(tail(limit(bytes(200 * 1024))), /log speed/);
    time = 60_000;
    assert.equal(tail(limit(bytes(10))), 'x'.repeat(10));
    assert.equal(tail(limit(bytes(3 * 1024 * 1024))), 'x\n[output clipped, log limit 2MiB reached]\n');
  });
});

describe('outputLimits()', () => {
  it('are BuildKit’s unless the environment says otherwise', () => {
    assert.deepEqual(outputLimits({}), { total: 2 * 1024 * 1024, perSecond: 200 * 1024 });
    assert.deepEqual(outputLimits({ BUILDKIT_STEP_LOG_MAX_SIZE: '-1', TSBUILD_STEP_LOG_MAX_SPEED: '-1' }), {
      total: undefined,
      perSecond: undefined,
    });
    assert.equal(outputLimits({ BUILDKIT_STEP_LOG_MAX_SIZE: '5', TSBUILD_STEP_LOG_MAX_SIZE: '7' }).total, 7);
    assert.equal(outputLimits({ TSBUILD_STEP_LOG_MAX_SIZE: '2 MB' }).total, 2 * 1024 * 1024);
  });
});
