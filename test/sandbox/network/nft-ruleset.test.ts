/** The packet filter as nft(8) reads it, in network namespaces of the test's own. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { findDroppingChain, letStepsPass } from '../../../src/sandbox/network/forward-policy.ts';
import { installRuleset } from '../../../src/sandbox/network/nft-ruleset.ts';
import { makeNetworkNamespace } from '../../../src/sys/namespace.ts';
import { NETLINK_NETFILTER, type NetlinkSocket, openNetlink } from '../../../src/sys/netlink.ts';
import { runIn } from './_host-state.ts';

const RULESET = { table: 'tsbuild-1-x', range: { address: 0x0ad50000, length: 16 }, ownNameServers: [] };

describe('installRuleset()', () => {
  it('installRuleset() refuses what steps send to the machine and to one another, and translates the rest', () => {
    inNamespace((socket, netnsFd) => {
      installRuleset(socket, RULESET);
      assert.deepEqual(rulesOf(netnsFd), [
        'flags owner',
        'chain input {',
        'type filter hook input priority filter; policy accept;',
        'iifname "tsbuild*" ct state established,related accept',
        'iifname "tsbuild*" reject',
        'chain forward {',
        'type filter hook forward priority filter; policy accept;',
        'iifname "tsbuild*" oifname "tsbuild*" reject',
        'oifname "tsbuild*" ct state ! established,related drop',
        'iifname "tsbuild*" meta nfproto ipv6 reject',
        'chain postrouting {',
        'type nat hook postrouting priority srcnat; policy accept;',
        'ip saddr 10.213.0.0/16 oifname != "tsbuild*" masquerade',
      ]);
    });
  });

  it('installRuleset() lets steps ask a name server that is an address of the machine, and nothing else there', () => {
    inNamespace((socket, netnsFd) => {
      installRuleset(socket, { ...RULESET, range: { address: 0xc0a8ff00, length: 24 }, ownNameServers: [0xc0a80101] });
      const rules = rulesOf(netnsFd);
      assert.deepEqual(rules.slice(3, 5), [
        'iifname "tsbuild*" ip daddr 192.168.1.1 udp dport 53 accept',
        'iifname "tsbuild*" ip daddr 192.168.1.1 tcp dport 53 accept',
      ]);
      assert.ok(rules.includes('ip saddr 192.168.255.0/24 oifname != "tsbuild*" masquerade'));
    });
  });

  it('installRuleset() leaves nothing once its socket is closed', () => {
    inNamespace((socket, netnsFd) => {
      installRuleset(socket, RULESET);
      socket[Symbol.dispose]();
      assert.equal(runIn(netnsFd, 'nft', 'list', 'ruleset').output, '');
    });
  });

  it('installRuleset() throws when the table is there, and the table stays whole', () => {
    inNamespace((socket, netnsFd) => {
      installRuleset(socket, RULESET);
      const before = rulesOf(netnsFd);
      assert.throws(() => installRuleset(socket, RULESET), { code: 'ERR_TSBUILD_SYSCALL_FAILED', errno: 'EEXIST' });
      assert.deepEqual(rulesOf(netnsFd), before);
    });
  });
});

describe('findDroppingChain()', () => {
  it('findDroppingChain() names a chain that drops forwarded packets, until a rule lets steps pass', () => {
    inNamespace((socket, netnsFd) => {
      const nft = (command: string): void => assert.equal(runIn(netnsFd, 'nft', command).output, '');
      assert.equal(findDroppingChain(socket), undefined);
      nft('add table ip filter; add chain ip filter INPUT { type filter hook input priority 0; policy drop; }');
      nft('add chain ip filter PASS { type filter hook forward priority 0; policy accept; }');
      assert.equal(findDroppingChain(socket), undefined);
      nft('add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }');
      assert.deepEqual(findDroppingChain(socket), { family: 2, table: 'filter', chain: 'FORWARD' });
      nft('add rule ip filter FORWARD iifname "tsbuild*" accept');
      assert.equal(findDroppingChain(socket), undefined);
      nft('add table inet firewall; add chain inet firewall f { type filter hook forward priority 0; policy drop; }');
      assert.deepEqual(findDroppingChain(socket), { family: 1, table: 'firewall', chain: 'f' });
    });
  });
});

describe('letStepsPass()', () => {
  for (const family of ['ip', 'inet']) {
    it(`letStepsPass() puts its rules before all others of a dropping chain (${family})`, () => {
      inNamespace((socket, netnsFd) => {
        const nft = (command: string): void => assert.equal(runIn(netnsFd, 'nft', command).output, '');
        nft(`add table ${family} filter; add chain ${family} filter FORWARD { type filter hook forward priority 0; policy drop; }`);
        nft(`add rule ${family} filter FORWARD counter drop`);
        const chain = findDroppingChain(socket);
        assert.ok(chain);
        letStepsPass(socket, chain);
        assert.equal(findDroppingChain(socket), undefined);
        assert.deepEqual(rulesOf(netnsFd).slice(2).sort(), [
          'counter packets 0 bytes 0 drop',
          'iifname "tsbuild*" accept',
          'oifname "tsbuild*" accept',
        ]);
        assert.match(rulesOf(netnsFd).at(-1) ?? '', /drop/);
      });
    });
  }
});

function inNamespace(test: (socket: NetlinkSocket, netnsFd: number) => void): void {
  const { fd, result: socket } = makeNetworkNamespace(() => openNetlink(NETLINK_NETFILTER));
  try {
    test(socket, fd);
  } finally {
    socket[Symbol.dispose]();
    closeSync(fd);
  }
}

/** The lines of the one table without its braces. */
function rulesOf(netnsFd: number): string[] {
  const { output } = runIn(netnsFd, 'nft', 'list', 'ruleset');
  const lines = output.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && line !== '}' && !line.startsWith('table '));
}
