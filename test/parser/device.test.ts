import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDevice } from '../../src/parser/device.ts';
import { parseDockerfile } from '../../src/parser/parse-dockerfile.ts';

describe('parseDevice()', () => {
  for (const [text, name, required] of [
    ['vendor.com/class=name', 'vendor.com/class=name', false],
    ['vendor.com/class', 'vendor.com/class', false],
    ['vendor.com/class=*', 'vendor.com/class=*', false],
    ['vendor.com/class=name,required', 'vendor.com/class=name', true],
    ['vendor.com/class=name,required=true', 'vendor.com/class=name', true],
    ['required=0,name=vendor.com/class=name', 'vendor.com/class=name', false],
    ['Required,vendor.com/class=a=b', 'vendor.com/class=a=b', true],
    ['"vendor.com/class=a,b"', 'vendor.com/class=a,b', false],
    ['gpu', 'gpu', false],
  ] as const) {
    test(`reads ${text}`, () => assert.deepEqual(parseDevice(text), { name, required }));
  }
  for (const [text, message] of [
    ['', /names no device/],
    ['required', /names no device/],
    ['name=', /names no device/],
    ['a/b=c,required=maybe', /"maybe" as required in --device: not true or false/],
    ['a/b=c,optional', /Cannot use "optional" in --device: no such key/],
    ['a/b=c,requird', /did you mean required/i],
    ['a/b=c,name=d', /it is "a\/b=c" already/],
    ['"a', /CSV|quote/i],
  ] as const) {
    test(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseDevice(text), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX', message }));
  }
  test('has its errors placed at the flag by parseDockerfile()', () => {
    assert.throws(
      () => parseDockerfile('FROM a\nRUN --device=required x\n', { file: 'Dockerfile' }),
      (error: { code?: string; location?: { range: { startLine: number } } }) => error.location?.range.startLine === 2,
    );
  });
});
