/** One step's network: a namespace that nothing names, joined to the machine by a pair of devices of its own. */
import { randomBytes, randomInt } from 'node:crypto';
import { closeSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { makeNetworkNamespace, makeNetworkNamespaceOf } from '../../sys/namespace.ts';
import { NETLINK_ROUTE, type NetlinkSocket, openNetlink } from '../../sys/netlink.ts';
import { type AddressPair, pairsOf } from './address-range.ts';
import { command } from './exchange.ts';
import { LINK_PREFIX, parseLink } from './host-network.ts';
import { setUpStepLink, setUpStepNamespace } from './interface-settings.ts';
import type { Prefix } from './ipv4.ts';
import { addAddress, addDefaultRoute, addHostRoute, addVethPair, getLink, LOOPBACK_INDEX, setLinkUp } from './route-messages.ts';

/** The interface as the step sees it. */
const STEP_INTERFACE = 'eth0';
/** So often in a row a random name, or a pair of addresses, is not taken by chance. */
const ATTEMPTS_MAX = 1000;

/**
 * Makes the namespace and returns its descriptor; with `range`, it is joined to the machine. The devices, addresses and
 * routes are gone when the namespace is. `host` is a socket of NETLINK_ROUTE in the machine's namespace; `owner` a user namespace,
 * where the step is root of another one than the machine's.
 */
export function makeStepLink(
  host: NetlinkSocket,
  outside: { readonly range: Prefix; readonly mtu: number } | undefined,
  owner?: number,
): number {
  const { fd, result: step } = owner === undefined ? makeNetworkNamespace(openInside) : makeNetworkNamespaceOf(owner, openInside);
  try {
    command(step, setLinkUp(LOOPBACK_INDEX));
    if (outside !== undefined) {
      const name = addLink(host, { netnsFd: fd, mtu: outside.mtu });
      const pair = joinHost(host, name, outside.range);
      joinStep(step, pair);
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    // It would keep the namespace, and so the devices, alive.
    step[Symbol.dispose]();
  }
}

function openInside(): NetlinkSocket {
  setUpStepNamespace();
  return openNetlink(NETLINK_ROUTE);
}

/** A pair under a name that nobody has; the random part is what processes that run at the same time differ in. */
function addLink(host: NetlinkSocket, link: { netnsFd: number; mtu: number }): string {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const name = `${LINK_PREFIX}${randomBytes(4).toString('hex')}`;
    if (isNew(() => command(host, addVethPair({ ...link, name, peer: STEP_INTERFACE })))) return name;
  }
  throw new Error('Every name of a veth pair is taken');
}

/** The machine's end: the route to the step is what reserves the pair of addresses, among all processes. */
function joinHost(host: NetlinkSocket, name: string, range: Prefix): AddressPair {
  const index = indexOf(host, name);
  setUpStepLink(name);
  command(host, setLinkUp(index, `tsbuild process ${process.pid}`));
  let attempts = 0;
  for (const pair of pairsOf(range, randomInt(2 ** (31 - range.length)))) {
    if (attempts++ === ATTEMPTS_MAX) break;
    if (isNew(() => command(host, addHostRoute(index, pair.step)))) {
      command(host, addAddress(index, pair.gateway));
      return pair;
    }
  }
  throw new TsbuildError('NETWORK_SETUP', 'Cannot find addresses for a step: those of the range are all taken', {
    hint: 'Wait until other builds on this machine have ended.',
  });
}

/** The step's end. */
function joinStep(step: NetlinkSocket, pair: AddressPair): void {
  const index = indexOf(step, STEP_INTERFACE);
  command(step, addAddress(index, pair.step));
  command(step, setLinkUp(index));
  command(step, addHostRoute(index, pair.gateway));
  command(step, addDefaultRoute(index, pair.gateway));
}

/** False when the kernel says that it is there already. */
function isNew(add: () => void): boolean {
  try {
    add();
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'EEXIST') return false;
    throw error;
  }
}

function indexOf(socket: NetlinkSocket, name: string): number {
  const [link] = command(socket, getLink(name)).flatMap(parseLink);
  if (link === undefined) throw new Error(`The kernel does not describe the interface ${name}`);
  return link.index;
}
