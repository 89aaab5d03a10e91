import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDns, withDns } from '../../../src/sandbox/network/dns-settings.ts';

const MACHINE = 'search lan\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:5\n';

describe('withDns()', () => {
  it('withDns() leaves what is not given as the machine has it', () => {
    assert.equal(withDns(MACHINE, {}), MACHINE);
    assert.equal(withDns('', { options: ['ndots:1'] }), 'options ndots:1\n');
  });

  it('withDns() replaces servers, domains and options, each kind as a whole', () => {
    assert.equal(withDns(MACHINE, { servers: ['198.51.100.1'] }), 'nameserver 198.51.100.1\nsearch lan\noptions ndots:5\n');
    assert.equal(
      withDns('domain lan\nnameserver 192.0.2.1\n', { search: ['a.example', 'b'] }),
      'search a.example b\nnameserver 192.0.2.1\n',
    );
    assert.equal(withDns(MACHINE, { search: ['.'] }), 'nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:5\n');
    assert.equal(withDns('options rotate\n', { options: ['ndots:2', 'use-vc'] }), 'options ndots:2 use-vc\n');
  });
});

describe('checkDns()', () => {
  it('checkDns() takes what resolv.conf can say', () => {
    checkDns({ servers: ['192.0.2.1', '10.0.0.1'], search: ['a.example', '_x.b.', 'c'], options: ['ndots:2', 'use-vc'] });
    checkDns({ search: ['.'] });
  });

  for (const [name, settings] of [
    ['a loopback', { servers: ['127.0.0.1'] }],
    ['no address', { servers: ['0.0.0.0'] }],
    ['IPv6', { servers: ['2001:db8::1'] }],
    ['a name', { servers: ['dns.example'] }],
    ['a fourth server', { servers: ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'] }],
    ['a line break', { search: ['a\nnameserver 192.0.2.1'] }],
    ['none beside others', { search: ['.', 'a'] }],
    ['two options in one', { options: ['ndots:2 rotate'] }],
  ] as const) {
    it(`checkDns() refuses ${name}`, () => {
      assert.throws(() => checkDns(settings), { code: 'ERR_TSBUILD_USAGE', message: /^Cannot use ".*" as --dns/s });
    });
  }
});
