/** What the machine's own network looks like: read once per pool. */
import { SyscallError } from '../../errors.ts';
import { readIfThere } from '../../sys/if-there.ts';
import type { NetlinkSocket } from '../../sys/netlink.ts';
import { command, dump } from './exchange.ts';
import type { Prefix } from './ipv4.ts';
import { parseIpv4 } from './ipv4.ts';
import { type NetlinkMessage, parseAttributes } from './netlink-message.ts';
import { type ResolvConf, resolvConf, resolvConfOf } from './resolv-conf.ts';
import {
  ALL_ADDRESSES,
  ALL_LINKS,
  ALL_ROUTES,
  findRoute,
  IFA_ADDRESS,
  IFLA_IFNAME,
  IFLA_MTU,
  RTA_DST,
  RTA_OIF,
  RTM_NEWLINK,
  RTM_NEWROUTE,
} from './route-messages.ts';

/** How the name of each of our interfaces starts; the rules of every tsbuild process go by it. */
export const LINK_PREFIX = 'tsbuild';

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
}

export interface HostNetwork {
  /** The interfaces that lead to the Internet and to the name servers; none when the machine is offline. */
  readonly uplinks: readonly Link[];
  /** Prefixes that the machine routes or has addresses of, apart from those of steps. */
  readonly used: readonly Prefix[];
  /** Name servers that are the machine's own addresses, not of its loopback. */
  readonly ownNameServers: readonly number[];
  readonly resolvConf: ResolvConf;
}

/** Any address of the public Internet: only the route to it is looked up. */
const PUBLIC_ADDRESS = 0x01010101;
const RTN_LOCAL = 2;
/** A wider route is a default route in parts, as a VPN makes it (0.0.0.0/1 and 128.0.0.0/1): it does not use the private ranges. */
const ROUTE_BITS_MIN = 4;

/** `socket` is of NETLINK_ROUTE, in the machine's namespace. `nameServer` takes the place of the machine's. */
export function readHostNetwork(socket: NetlinkSocket, nameServer?: string): HostNetwork {
  const links = new Map(
    dump(socket, ALL_LINKS)
      .flatMap(parseLink)
      .map((link) => [link.index, link]),
  );
  const text = readIfThere('/etc/resolv.conf') ?? '';
  const conf =
    nameServer === undefined ? resolvConf(text, readIfThere('/run/systemd/resolve/resolv.conf')) : resolvConfOf(text, nameServer);
  const servers = conf.nameServers.flatMap((server) => parseIpv4(server) ?? []);
  const routes = [PUBLIC_ADDRESS, ...servers].map((address) => ({ address, route: lookUp(socket, address) }));
  const uplinks = new Set(routes.flatMap(({ route }) => (route?.local === false ? (links.get(route.index) ?? []) : [])));
  return {
    uplinks: [...uplinks],
    used: [...usedPrefixes(socket, links), ...servers.map((address) => ({ address, length: 32 }))],
    ownNameServers: routes.filter(({ route }) => route?.local === true).map(({ address }) => address),
    resolvConf: conf,
  };
}

/** The interface of a message that describes one. */
export function parseLink(message: NetlinkMessage): Link[] {
  if (message.type !== RTM_NEWLINK) return [];
  const attributes = parseAttributes(message.body.subarray(16));
  const name = attributes.get(IFLA_IFNAME)?.toString('latin1').replace(/\0.*$/s, '') ?? '';
  return [{ index: message.body.readInt32LE(4), name, mtu: attributes.get(IFLA_MTU)?.readUInt32LE(0) ?? 1500 }];
}

function usedPrefixes(socket: NetlinkSocket, links: ReadonlyMap<number, Link>): Prefix[] {
  const ours = (index: number | undefined): boolean => index !== undefined && links.get(index)?.name.startsWith(LINK_PREFIX) === true;
  const prefixes: Prefix[] = [];
  for (const { body } of dump(socket, ALL_ROUTES)) {
    const attributes = parseAttributes(body.subarray(12));
    const destination = attributes.get(RTA_DST);
    const length = body.readUInt8(1);
    if (destination?.length === 4 && length >= ROUTE_BITS_MIN && !ours(attributes.get(RTA_OIF)?.readUInt32LE(0))) {
      prefixes.push({ address: destination.readUInt32BE(0), length });
    }
  }
  for (const { body } of dump(socket, ALL_ADDRESSES)) {
    const address = parseAttributes(body.subarray(8)).get(IFA_ADDRESS);
    if (address?.length === 4 && !ours(body.readUInt32LE(4))) {
      prefixes.push({ address: address.readUInt32BE(0), length: body.readUInt8(1) });
    }
  }
  return prefixes;
}

/** undefined: there is no way to the address. `local`: it is one of the machine's own. */
function lookUp(socket: NetlinkSocket, address: number): { index: number; local: boolean } | undefined {
  try {
    const route = command(socket, findRoute(address)).find((message) => message.type === RTM_NEWROUTE);
    const index = route && parseAttributes(route.body.subarray(12)).get(RTA_OIF)?.readUInt32LE(0);
    return route && index !== undefined ? { index, local: route.body.readUInt8(7) === RTN_LOCAL } : undefined;
  } catch (error) {
    if (error instanceof SyscallError && ['ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL'].includes(error.errno)) return undefined;
    throw error;
  }
}
