/** The private network of a step: as root by devices and rules of the kernel, which are tried in a namespace that is gone at once. */
import { closeSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { CONNECTORS, connectorFile, refusedTunnels, TUN } from '../../sandbox/network/connector.ts';
import { command } from '../../sandbox/network/exchange.ts';
import { installRuleset } from '../../sandbox/network/nft-ruleset.ts';
import { addVethPair, LOOPBACK_INDEX, setLinkUp } from '../../sandbox/network/route-messages.ts';
import { idScope } from '../../sys/ids.ts';
import { makeNetworkNamespace } from '../../sys/namespace.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, openNetlink } from '../../sys/netlink.ts';
import { type Asker, type Finding, isRoot } from './finding.ts';

export interface NetworkFacts {
  readonly asker: Asker;
  /** Why pairs of devices or address translation cannot be had; empty where they can, undefined for those who may not try. */
  readonly refused: readonly string[] | undefined;
  /** Programs that connect an ordinary user's network to the outside. */
  readonly connectors: readonly string[];
  /** errno where their tap device cannot be opened. */
  readonly tunnels: string | undefined;
}

export function readNetworkFacts(asker: Asker): NetworkFacts {
  return {
    asker,
    // Root in a user namespace has the network of ordinary users.
    refused: isRoot(asker) && idScope() === 'machine' ? tryNetwork() : undefined,
    connectors: CONNECTORS.flatMap((program) => connectorFile(program) ?? []),
    tunnels: refusedTunnels()?.code,
  };
}

export function networkFindings({ asker, refused, connectors, tunnels }: NetworkFacts): Finding[] {
  const rootless = userFinding(connectors, tunnels);
  if (refused === undefined) return [rootless];
  // Root needs neither.
  return [rootFinding(refused), isRoot(asker) ? { ...rootless, state: 'ok' } : rootless];
}

function userFinding(connectors: readonly string[], tunnels: string | undefined): Finding {
  const about = { group: 'network', id: 'network.connector', title: 'network without root' } as const;
  const means = 'steps of an ordinary user have no private network';
  if (connectors.length === 0) {
    return { ...about, state: 'limited', found: 'neither pasta nor slirp4netns is installed', means, fix: 'apt-get install passt' };
  }
  if (tunnels === undefined) return { ...about, state: 'ok', found: connectors.join(', ') };
  const fix = tunnels === 'EACCES' ? `chmod 0666 ${TUN}` : 'modprobe tun';
  return { ...about, state: 'limited', found: `${TUN} cannot be opened: ${tunnels}`, means, fix };
}

function rootFinding(refused: readonly string[]): Finding {
  const about = { group: 'network', id: 'network.private', title: 'network as root' } as const;
  if (refused.length === 0) return { ...about, state: 'ok', found: 'veth pairs and nf_tables work' };
  return {
    ...about,
    state: 'limited',
    found: refused.join('; '),
    means: 'steps run only with --network=none, or with --network=host where that is allowed',
    fix: 'Be root with CAP_NET_ADMIN and CAP_SYS_ADMIN; modprobe -a veth nf_tables nft_masq nft_ct nft_reject_inet',
  };
}

function tryNetwork(): string[] {
  const refused: string[] = [];
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof TsbuildError)) throw error;
      refused.push(error.cause instanceof SyscallError ? error.cause.message : error.message);
    }
  };
  attempt(() => {
    const { result, fd } = makeNetworkNamespace(() => ({ route: openNetlink(NETLINK_ROUTE), filter: openNetlink(NETLINK_NETFILTER) }));
    try {
      attempt(() => {
        command(result.route, setLinkUp(LOOPBACK_INDEX));
        command(result.route, addVethPair({ name: 'doctor0', peer: 'doctor1', netnsFd: fd, mtu: 1500 }));
      });
      attempt(() => installRuleset(result.filter, { table: 'doctor', range: { address: 0x0a000000, length: 24 }, ownNameServers: [] }));
    } finally {
      result.route[Symbol.dispose]();
      result.filter[Symbol.dispose]();
      closeSync(fd);
    }
  });
  return refused;
}
