import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { baseKey, type RunIngredients, stepKey } from '../../src/cache/cache-key.ts';

const RUN: RunIngredients = {
  kind: 'run',
  parent: baseKey([]),
  argv: ['sh', '-c', 'x'],
  env: ['A=1', 'B=2'],
  cwd: '/',
  user: '',
  platform: 'linux/amd64',
  network: 'default',
  security: 'sandbox',
  hostNames: [],
  mounts: ['tmpfs', '/t'],
};

describe('stepKey()', () => {
  test('misses when any ingredient of a RUN changes', () => {
    const changed: RunIngredients[] = [
      { ...RUN, parent: baseKey(['sha256:1']) },
      { ...RUN, argv: ['sh', '-c', 'y'] },
      { ...RUN, argv: ['sh', '-c', 'x', ''] },
      { ...RUN, argv: ['sh', '-cx'] },
      { ...RUN, env: ['A=1', 'B=3'] },
      { ...RUN, env: ['A=1'] },
      { ...RUN, env: ['A=1B=2'] },
      { ...RUN, cwd: '/x' },
      { ...RUN, user: 'app' },
      { ...RUN, platform: 'linux/arm64' },
      { ...RUN, network: 'none' },
      { ...RUN, security: 'insecure' },
      { ...RUN, isolation: 'chroot' },
      { ...RUN, hostNames: ['db'] },
      { ...RUN, mounts: ['tmpfs', '/u'] },
      { ...RUN, devices: ['vendor.com/class=a', 'false'] },
      { ...RUN, devices: ['vendor.com/class=a', 'true'] },
    ];
    const keys = [RUN, ...changed].map(stepKey);
    assert.equal(new Set(keys).size, keys.length);
  });

  test('does not confuse neighbouring fields', () => {
    const copy = { kind: 'copy' as const, parent: baseKey([]), sources: ['ab'], destination: 'c', cwd: '/', chown: '', chmod: '' };
    const keys = [
      copy,
      { ...copy, sources: ['a', 'b'] },
      { ...copy, sources: ['a'], destination: 'bc' },
      { ...copy, chown: '1', chmod: '' },
      { ...copy, chown: '', chmod: '1' },
      { ...copy, kind: 'add' as const, unpack: 'local' },
      { ...copy, kind: 'add' as const, unpack: 'none' },
      { kind: 'link' as const, step: stepKey(copy) },
      { kind: 'link' as const, step: stepKey({ ...copy, chown: '1' }) },
      { kind: 'ground' as const, directories: ['a', 'a/b'] },
      { kind: 'ground' as const, directories: ['a'] },
      { kind: 'laid' as const, parent: baseKey([]), layer: 'x' },
      { kind: 'laid' as const, parent: baseKey([]), layer: 'y' },
    ].map(stepKey);
    assert.equal(new Set(keys).size, keys.length);
  });

  test('does not depend on the order in which fields were written', () => {
    assert.equal(stepKey(Object.fromEntries(Object.entries(RUN).reverse()) as unknown as RunIngredients), stepKey(RUN));
  });
});
