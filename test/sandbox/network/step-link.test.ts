import assert from 'node:assert/strict';
import { closeSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { makeStepLink } from '../../../src/sandbox/network/step-link.ts';
import { NETLINK_ROUTE, openNetlink } from '../../../src/sys/netlink.ts';
import { runIn, stepLinks, until } from './_host-state.ts';

describe('makeStepLink()', () => {
  it('makeStepLink() gives each pair of addresses once, and throws when all are taken', async () => {
    using host = openNetlink(NETLINK_ROUTE);
    const outside = { range: { address: 0xc61200f0, length: 30 }, mtu: 1280 };
    const made = [makeStepLink(host, outside), makeStepLink(host, outside)];
    try {
      const addresses = made.map((fd) => /inet (\S+)/.exec(runIn(fd, 'ip', '-4', 'address', 'show', 'dev', 'eth0').output)?.[1]);
      assert.deepEqual(addresses.sort(), ['198.18.0.241/31', '198.18.0.243/31']);
      const descriptors = readdirSync('/proc/self/fd').length;
      assert.throws(() => makeStepLink(host, outside), { code: 'ERR_TSBUILD_NETWORK_SETUP' });
      assert.equal(readdirSync('/proc/self/fd').length, descriptors);
      await until(() => stepLinks().length === 2, 2000);
    } finally {
      made.forEach(closeSync);
    }
    await until(() => stepLinks().length === 0, 2000);
    closeSync(makeStepLink(host, outside));
  });

  it('makeStepLink() makes nothing but a loopback when there is no outside', () => {
    using host = openNetlink(NETLINK_ROUTE);
    const fd = makeStepLink(host, undefined);
    assert.match(runIn(fd, 'ip', '-brief', 'address').output, /^lo +UNKNOWN +127\.0\.0\.1\/8 ::1\/128 *\n$/);
    closeSync(fd);
  });
});
