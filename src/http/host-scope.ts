/** How private an address is: a registry must not make us talk to hosts that it could not reach itself. Source: RFC 6890. */
import { BlockList, isIP } from 'node:net';

export type HostScope = 'loopback' | 'link-local' | 'private' | 'public';

const RANGES: readonly (readonly [HostScope, string, number, 'ipv4' | 'ipv6'])[] = [
  ['loopback', '127.0.0.0', 8, 'ipv4'],
  ['loopback', '0.0.0.0', 8, 'ipv4'],
  ['loopback', '::1', 128, 'ipv6'],
  ['loopback', '::', 128, 'ipv6'],
  ['link-local', '169.254.0.0', 16, 'ipv4'],
  ['link-local', 'fe80::', 10, 'ipv6'],
  ['link-local', 'fd00:ec2::', 32, 'ipv6'],
  ['private', '10.0.0.0', 8, 'ipv4'],
  ['private', '172.16.0.0', 12, 'ipv4'],
  ['private', '192.168.0.0', 16, 'ipv4'],
  ['private', '100.64.0.0', 10, 'ipv4'],
  ['private', '192.0.0.0', 24, 'ipv4'],
  ['private', '198.18.0.0', 15, 'ipv4'],
  ['private', '224.0.0.0', 3, 'ipv4'],
  ['private', 'fc00::', 7, 'ipv6'],
  ['private', 'ff00::', 8, 'ipv6'],
];

/** Scope of a host name or address literal of a URL (brackets allowed); undefined for names, which need a look-up. */
export function scopeOfHost(hostname: string): HostScope | undefined {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
  return isIP(host) === 0 ? undefined : scopeOfAddress(host);
}

/** Scope of an IPv4 or IPv6 address; addresses that embed an IPv4 one count as that. */
export function scopeOfAddress(address: string): HostScope {
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  for (const [scope, net, prefix, netFamily] of RANGES) {
    const list = new BlockList();
    list.addSubnet(net, prefix, netFamily);
    // BlockList sees an IPv4-mapped IPv6 address as its IPv4 one.
    if (list.check(address, family)) return scope;
  }
  return embedsIpv4(address) ? 'private' : 'public';
}

/** NAT64 and 6to4 lead to IPv4 hosts of any kind. */
function embedsIpv4(address: string): boolean {
  const lower = address.toLowerCase();
  return lower.startsWith('64:ff9b:') || lower.startsWith('2002:');
}

export function isLoopbackHost(hostname: string): boolean {
  return scopeOfHost(hostname) === 'loopback';
}

/** Whether something at `from` may send us to something at `to`: outward always, inward never. */
export function mayLeadTo(from: readonly HostScope[], to: HostScope): boolean {
  switch (to) {
    case 'public':
      return true;
    case 'private':
      return from.includes('private') || from.includes('loopback');
    case 'loopback':
      return from.includes('loopback');
    case 'link-local':
      return from.includes('link-local');
  }
}
