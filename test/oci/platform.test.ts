import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPlatform, parsePlatform, platformOf, samePlatform } from '../../src/oci/platform.ts';

test('parsePlatform() writes platforms in their normal form', () => {
  for (const [text, expected] of [
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['Linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
  ] as const) {
    assert.equal(formatPlatform(parsePlatform(text)), expected);
  }
  for (const text of ['', 'linux', 'linux/', 'a/b/c/d']) assert.throws(() => parsePlatform(text), /as a platform/);
});

test('platformOf() names this machine, samePlatform() compares normal forms', () => {
  assert.equal(formatPlatform(platformOf('x64')), 'linux/amd64');
  assert.ok(samePlatform({ os: 'linux', architecture: 'arm64', variant: 'v8' }, platformOf('arm64')));
});
