import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostsFile } from '../../../src/sandbox/network/hosts-file.ts';
import { resolvConf } from '../../../src/sandbox/network/resolv-conf.ts';

describe('resolvConf()', () => {
  it('resolvConf() keeps name servers, search and options, and drops comments', () => {
    const text = '# made by dhcp\nsearch a.example b.example\nnameserver 192.0.2.1\n; x\n\noptions ndots:2  \nnameserver 192.0.2.2\n';
    const kept = 'search a.example b.example\nnameserver 192.0.2.1\noptions ndots:2\nnameserver 192.0.2.2\n';
    assert.deepEqual(resolvConf(text, undefined), { text: kept, nameServers: ['192.0.2.1', '192.0.2.2'] });
  });

  it('resolvConf() drops name servers that a step cannot reach: those on a loopback and on IPv6', () => {
    const text = 'nameserver 127.0.0.1\nnameserver ::1\nnameserver fd00::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.1';
    assert.deepEqual(resolvConf(text, 'nameserver 192.0.2.9\n'), { text: 'nameserver 192.0.2.1\n', nameServers: ['192.0.2.1'] });
  });

  it('resolvConf() asks the servers behind systemd-resolved', () => {
    const stub = 'nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n';
    const real = 'nameserver 192.0.2.7\nnameserver fd00::7\nsearch lan\n';
    assert.deepEqual(resolvConf(stub, real), { text: 'nameserver 192.0.2.7\nsearch lan\n', nameServers: ['192.0.2.7'] });
  });

  it('resolvConf() puts no public server in when none is left, and says why', () => {
    assert.deepEqual(resolvConf('nameserver 127.0.0.53\nsearch lan\n', undefined), {
      text: 'search lan\n',
      nameServers: [],
      note: 'Steps have no name server: a step cannot reach 127.0.0.53',
    });
    assert.deepEqual(resolvConf('', undefined), { text: '', nameServers: [], note: 'Steps have no name server: the machine names none' });
    assert.deepEqual(resolvConf('nameserver nonsense\n', undefined).nameServers, []);
  });
});

describe('hostsFile()', () => {
  it('hostsFile() names the loopback addresses and the step, and then the extra hosts', () => {
    assert.equal(hostsFile('builder', []), '127.0.0.1\tlocalhost builder\n::1\tlocalhost ip6-localhost ip6-loopback\n');
    assert.equal(
      hostsFile('builder', [{ address: '192.0.2.5', name: 'db' }]),
      '127.0.0.1\tlocalhost builder\n::1\tlocalhost ip6-localhost ip6-loopback\n192.0.2.5\tdb\n',
    );
  });
});
