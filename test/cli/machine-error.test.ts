import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf } from '../../src/cli/exit-code.ts';
import { machineError } from '../../src/cli/machine-error.ts';
import { TsbuildError } from '../../src/errors.ts';

const failure = (code: string, fields: object = { syscall: 'open', path: '/state/x' }): Error =>
  Object.assign(new Error(`${code}: some words, open '/state/x'`), { code, ...fields });

test('machineError() tells what a failing machine refused to which file, with the exit code of it', () => {
  const told = machineError(failure('EIO'));
  assert.equal(told?.code, 'ERR_TSBUILD_SYSCALL_FAILED');
  assert.equal(told?.message, 'Cannot open /state/x: the disk fails (EIO)');
  assert.match(told?.hint ?? '', /dmesg/);
  assert.equal(exitCodeOf(failure('EIO')), 1);
  for (const code of ['ENOSPC', 'EDQUOT']) {
    assert.equal(machineError(failure(code))?.code, 'ERR_TSBUILD_NO_SPACE');
    assert.equal(exitCodeOf(failure(code)), 74);
  }
  // libuv does not know these numbers.
  const unknown = Object.assign(new Error('Unknown system error -122: Unknown system error -122, mkdir'), {
    ...{ code: 'Unknown system error -122', errno: -122, syscall: 'mkdir', path: '/state/d' },
  });
  assert.equal(machineError(unknown)?.message, 'Cannot mkdir /state/d: the disk quota is used up (EDQUOT)');
  assert.equal(exitCodeOf(unknown), 74);
  assert.match(machineError(failure('EMFILE', { syscall: 'pipe' }))?.message ?? '', /^Cannot pipe a file: too many files are open/);
});

test('machineError() leaves errors of ours, and what only a wrong call gets, to others', () => {
  assert.equal(machineError(new TsbuildError('USAGE', 'x')), undefined);
  for (const code of ['ENOENT', 'EINVAL', 'EBADF', 'EEXIST', 'ERR_INVALID_ARG_TYPE']) {
    assert.equal(machineError(failure(code)), undefined, code);
    assert.equal(exitCodeOf(failure(code)), 70, code);
  }
  assert.equal(machineError(failure('EIO', {})), undefined);
  assert.equal(machineError('EIO'), undefined);
});
