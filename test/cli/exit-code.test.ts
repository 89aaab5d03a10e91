import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, ReportedError } from '../../src/cli/exit-code.ts';
import { firstError, SyscallError, TsbuildError } from '../../src/errors.ts';

test('exitCodeOf() tells scripts what kind of failure it was', () => {
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
  const cases: [unknown, number][] = [
    [new TsbuildError('RUN_FAILED', 'x'), 1],
    [new ReportedError(new TsbuildError('RUN_FAILED', 'x')), 1],
    [new TsbuildError('USAGE', 'x'), 2],
    [new ReportedError(new TsbuildError('USAGE', 'x')), 2],
    [new SyscallError('write', 'x', 'ENOSPC'), 74],
    [full, 74],
    [new TsbuildError('STORE_INVALID', 'x', { cause: full }), 74],
    [new ReportedError(new TsbuildError('NO_SPACE', 'x')), 74],
    [new TypeError('x is undefined'), 70],
    ['a string', 70],
  ];
  for (const [error, code] of cases) assert.equal(exitCodeOf(error), code, String(error));
});

test('firstError() is not what closing threw afterwards', async () => {
  const first = new TsbuildError('RUN_FAILED', 'x');
  const failing = async (): Promise<void> => {
    await using _open = {
      async [Symbol.asyncDispose]() {
        throw new TypeError('close');
      },
    };
    throw first;
  };
  const thrown = await failing().catch((error: unknown) => error);
  assert.notEqual(thrown, first);
  assert.equal(firstError(thrown), first);
  assert.equal(exitCodeOf(thrown), 1);
  assert.equal(firstError(first), first);
});
