import assert from 'node:assert/strict';
import test from 'node:test';
import { platformArgs, proxyEnvironment, resolveArg } from '../../../src/builder/plan/build-args.ts';
import type { ArgSources } from '../../../src/builder/plan/build-plan.ts';

function sources(globalArgs: Record<string, string>, buildArgs: Record<string, string>): ArgSources {
  return { globalArgs: new Map(Object.entries(globalArgs)), buildArgs: new Map(Object.entries(buildArgs)) };
}

function resolve(value: string | undefined, from: ArgSources): string | undefined {
  return resolveArg({ key: 'X', value }, from, (word) => `expanded ${word}`);
}

test('resolveArg takes the build argument, then its own default, then the global value', () => {
  assert.equal(resolve('d', sources({ X: 'g' }, { X: 'b' })), 'b');
  assert.equal(resolve('d', sources({ X: 'g' }, {})), 'expanded d');
  assert.equal(resolve(undefined, sources({ X: 'g' }, {})), 'g');
  assert.equal(resolve(undefined, sources({}, { X: 'b' })), 'b');
});

test('resolveArg tells an empty value from none', () => {
  assert.equal(resolve('d', sources({}, { X: '' })), '');
  assert.equal(resolve(undefined, sources({ X: '' }, {})), '');
  assert.equal(resolve(undefined, sources({}, {})), undefined);
});

test('resolveArg does not look at a default that is overridden', () => {
  const fail = (): string => {
    throw new Error('looked at');
  };
  assert.equal(resolveArg({ key: 'X', value: 'd' }, sources({}, { X: 'b' }), fail), 'b');
});

test('proxyEnvironment sets both cases, and each as given where both are given', () => {
  const environment = proxyEnvironment(
    new Map([
      ['http_proxy', 'a'],
      ['NO_PROXY', 'b'],
      ['no_proxy', 'c'],
      ['FTP_PROXY', ''],
      ['OTHER', 'd'],
    ]),
  );
  assert.deepEqual(Object.fromEntries(environment), { HTTP_PROXY: 'a', http_proxy: 'a', NO_PROXY: 'b', no_proxy: 'c' });
});

test('platformArgs are in normal form', () => {
  const args = platformArgs(
    { platform: { os: 'linux', architecture: 'arm' }, buildPlatform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    undefined,
  );
  assert.deepEqual(Object.fromEntries(args), {
    TARGETPLATFORM: 'linux/arm/v7',
    TARGETOS: 'linux',
    TARGETOSVERSION: '',
    TARGETARCH: 'arm',
    TARGETVARIANT: 'v7',
    BUILDPLATFORM: 'linux/arm64',
    BUILDOS: 'linux',
    BUILDOSVERSION: '',
    BUILDARCH: 'arm64',
    BUILDVARIANT: '',
    TARGETSTAGE: 'default',
  });
});
