import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHost } from '../../../src/sandbox/network/hosts-file.ts';

test('parseHost() reads a name and an address', () => {
  assert.deepEqual(parseHost('a:1.2.3.4'), { name: 'a', address: '1.2.3.4' });
  assert.deepEqual(parseHost('a=::1'), { name: 'a', address: '::1' });
  assert.deepEqual(parseHost('a.b:[2001:db8::1]'), { name: 'a.b', address: '2001:db8::1' });
});

test('parseHost() refuses what would not be one line of /etc/hosts', () => {
  for (const pair of [
    'a',
    'a:',
    ':1.2.3.4',
    'a:b',
    'a:999.1.1.1',
    'a:1.2.3.4\n',
    'a b:1.2.3.4',
    'a\n1.1.1.1 b:1.2.3.4',
    'a\0:1.2.3.4',
    'a:[1',
  ])
    assert.throws(() => parseHost(pair), { code: 'ERR_TSBUILD_USAGE' }, pair);
});
