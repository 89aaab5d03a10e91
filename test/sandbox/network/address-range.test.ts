import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseRange, pairsOf } from '../../../src/sandbox/network/address-range.ts';
import { formatIpv4, overlaps, type Prefix, parseIpv4 } from '../../../src/sandbox/network/ipv4.ts';

describe('chooseRange()', () => {
  it('chooseRange() overlaps no route and no address', () => {
    assert.equal(chosen([]), '10.213.0.0/16');
    assert.equal(chosen(['10.213.7.9/32']), '10.214.0.0/16');
    assert.equal(chosen(['10.208.0.0/12']), '10.224.0.0/16');
    assert.equal(chosen(['10.0.0.0/8']), '172.31.0.0/16');
    assert.equal(chosen(['10.0.0.0/8', '172.16.0.0/12']), '192.168.255.0/24');
    assert.equal(chosen(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']), '198.18.0.0/16');
  });

  it('chooseRange() throws NETWORK_SETUP when every private range is in use', () => {
    const all = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15'];
    assert.throws(() => chosen(all), { code: 'ERR_TSBUILD_NETWORK_SETUP' });
  });
});

describe('pairsOf()', () => {
  it('pairsOf() gives each pair of the range once, from any start', () => {
    const pairs = [...pairsOf(prefix('192.168.9.0/24'), 100)];
    assert.equal(pairs.length, 128);
    assert.deepEqual(
      pairs.slice(0, 1).map(({ gateway, step }) => [formatIpv4(gateway), formatIpv4(step)]),
      [['192.168.9.200', '192.168.9.201']],
    );
    assert.equal(new Set(pairs.map(({ step }) => step)).size, 128);
    assert.ok(
      pairs.every(
        ({ gateway, step }) =>
          step === gateway + 1 && gateway % 2 === 0 && overlaps({ address: step, length: 32 }, prefix('192.168.9.0/24')),
      ),
    );
  });
});

describe('parseIpv4()', () => {
  it('parseIpv4() takes four decimal parts and nothing else', () => {
    assert.deepEqual(['255.255.255.255', '10.0.0.1', '1.2.3', '1.2.3.256', '::1', '01234.1.1.1', ''].map(parseIpv4), [
      0xffffffff,
      0x0a000001,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

function chosen(used: readonly string[]): string {
  const range = chooseRange(used.map(prefix));
  return `${formatIpv4(range.address)}/${range.length}`;
}

function prefix(text: string): Prefix {
  const [address = '', length] = text.split('/');
  return { address: parseIpv4(address) ?? assert.fail(), length: Number(length) };
}
