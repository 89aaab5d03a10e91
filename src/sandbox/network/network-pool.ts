/** Networks for steps, each made ahead of the step that takes it. */
import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, type NetlinkSocket, openNetlink } from '../../sys/netlink.ts';
import { chooseRange } from './address-range.ts';
import { findDroppingChain, letStepsPass } from './forward-policy.ts';
import { LINK_PREFIX, readHostNetwork } from './host-network.ts';
import { allowForwarding } from './interface-settings.ts';
import type { Prefix } from './ipv4.ts';
import { installRuleset } from './nft-ruleset.ts';
import { makeStepLink } from './step-link.ts';

/**
 * A network namespace with a loopback (127.0.0.1 and ::1) and, unless the machine is offline, `eth0`: a private IPv4
 * address, translated on its way out. IPv6 goes no further than ::1. Nothing of the machine can be reached but its name
 * server where that is its own address; nor can another step.
 */
export interface StepNetwork {
  /** Belongs to the network: `release` closes it. */
  readonly netnsFd: number;
  /** The text of the step's /etc/resolv.conf. */
  readonly resolvConf: string;
  /** Lets go; the kernel removes the network, in its own time, once no process is in it. */
  release(): void;
}

export interface NetworkPool {
  /** Takes a network that nobody had before. Throws NETWORK_SETUP or PRIVILEGE. */
  take(): Promise<StepNetwork>;
  /** Ends the networks that nobody took, and the address translation of those that are still held. */
  close(): void;
}

export interface NetworkPoolOptions {
  /** Closes the pool. */
  readonly signal?: AbortSignal | undefined;
  /** How many networks wait for a step, from the first `take` on; 1 unless more steps run at once. */
  readonly size?: number | undefined;
  /** The user namespace that networks belong to, where steps are root of one of their own; asked before the first is made. */
  readonly owner?: (() => number) | undefined;
  /** Takes the place of the machine's name servers. */
  readonly nameServer?: string | undefined;
  /** Is told when steps will be offline, or without names. */
  readonly emit?: Emit | undefined;
}

/** What every network of a pool shares. */
interface Outside {
  readonly host: NetlinkSocket;
  /** Holds the address translation; undefined when offline. */
  readonly filter: NetlinkSocket | undefined;
  readonly range: Prefix;
  readonly mtu: number;
  readonly resolvConf: string;
}

/** More packet filters than any machine has. */
const FORWARD_CHAINS_MAX = 8;

/** Opens nothing yet: the first `take` does. */
export function openNetworkPool(options: NetworkPoolOptions = {}): NetworkPool {
  const size = options.size ?? 1;
  const ready: number[] = [];
  let outside: Outside | undefined;
  let refill: NodeJS.Immediate | undefined;
  let closed = false;

  const make = (): number => {
    outside ??= explained(() => openOutside(options));
    const { host, filter, range, mtu } = outside;
    const owner = options.owner?.();
    return explained(() => makeStepLink(host, filter && { range, mtu }, owner));
  };
  const fill = (): void => {
    refill = undefined;
    try {
      if (ready.length < size) ready.push(make());
    } catch (error) {
      // The next `take` makes one itself, and says what is wrong.
      if (!(error instanceof TsbuildError)) throw error;
      return;
    }
    refillLater();
  };
  /** Making one takes the thread 2 ms, in which the step that took the last one, started in the same turn, runs already. */
  const refillLater = (): void => {
    if (!closed && ready.length < size) refill ??= setImmediate(fill).unref();
  };
  const close = (): void => {
    closed = true;
    clearImmediate(refill);
    options.signal?.removeEventListener('abort', close);
    for (const fd of ready.splice(0)) closeSync(fd);
    outside?.filter?.[Symbol.dispose]();
    outside?.host[Symbol.dispose]();
    outside = undefined;
  };
  options.signal?.addEventListener('abort', close, { once: true });

  return {
    async take() {
      options.signal?.throwIfAborted();
      if (closed) throw new Error('The pool of networks is closed');
      const fd = ready.shift() ?? make();
      refillLater();
      return stepNetwork(fd, outside?.resolvConf ?? '');
    },
    close,
  };
}

/** Closes the descriptor when it is released. */
export function stepNetwork(netnsFd: number, resolvConf: string): StepNetwork {
  let held = true;
  return {
    netnsFd,
    resolvConf,
    release() {
      if (held) {
        held = false;
        closeSync(netnsFd);
      }
    },
  };
}

function openOutside({ emit, nameServer }: NetworkPoolOptions): Outside {
  const host = openNetlink(NETLINK_ROUTE);
  let filter: NetlinkSocket | undefined;
  try {
    const { uplinks, used, ownNameServers, resolvConf } = readHostNetwork(host, nameServer);
    const range = chooseRange(used);
    if (uplinks.length > 0) {
      filter = openNetlink(NETLINK_NETFILTER);
      openForwarding(filter, emit);
      const table = `${LINK_PREFIX}-${process.pid}-${randomBytes(4).toString('hex')}`;
      installRuleset(filter, { table, range, ownNameServers });
      for (const { name } of uplinks) allowForwarding(name);
      if (resolvConf.note !== undefined) emit?.({ kind: 'warning', message: resolvConf.note });
    } else {
      emit?.({ kind: 'warning', message: 'This machine has no route to anywhere: steps run offline' });
    }
    const mtu = Math.min(...uplinks.map((link) => link.mtu), 65535);
    return { host, filter, range, mtu, resolvConf: resolvConf.text };
  } catch (error) {
    filter?.[Symbol.dispose]();
    host[Symbol.dispose]();
    throw error;
  }
}

/** A packet filter that drops what is forwarded, as Docker and firewalls set it up, lets steps pass from now on. */
function openForwarding(filter: NetlinkSocket, emit: Emit | undefined): void {
  for (let chains = 0; chains < FORWARD_CHAINS_MAX; chains++) {
    const dropping = findDroppingChain(filter);
    if (dropping === undefined) return;
    const place = `chain ${dropping.chain} of the packet filter table ${dropping.table}`;
    try {
      letStepsPass(filter, dropping);
      emit?.({ kind: 'warning', message: `Let packets of steps pass the ${place}, which drops what it does not know` });
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const hint = `Let steps pass, such as by iptables -I FORWARD -i ${LINK_PREFIX}+ -j ACCEPT; iptables -I FORWARD -o ${LINK_PREFIX}+ -j ACCEPT.`;
      emit?.({ kind: 'warning', message: `Steps may be offline: the ${place} drops forwarded packets (${error.errno})`, hint });
      return;
    }
  }
}

/** Turns the kernel's refusals into what they mean to the user. */
function explained<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const name = error.errno === 'EPERM' ? 'PRIVILEGE' : 'NETWORK_SETUP';
    throw new TsbuildError(name, `Cannot set up the network of a step: ${error.message}`, {
      hint:
        name === 'PRIVILEGE'
          ? 'Run tsbuild as root, or give the step the network of the machine.'
          : 'Give the step the network of the machine, or no network.',
      cause: error,
    });
  }
}
