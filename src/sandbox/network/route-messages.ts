/** Requests of rtnetlink (rtnetlink(7), linux/rtnetlink.h, linux/if_link.h) as data. */
import { type NetlinkRequest, NLM_F_CREATE, NLM_F_EXCL } from './exchange.ts';
import { formatIpv4, ipv4Bytes } from './ipv4.ts';
import { attribute, nested, numberAttribute, textAttribute } from './netlink-message.ts';

export const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;

export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_IFALIAS = 20;
const IFLA_NET_NS_FD = 28;
const VETH_INFO_PEER = 1;
const IFF_UP = 0x1;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NOPREFIXROUTE = 0x200;

export const RTA_DST = 1;
export const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;

const AF_UNSPEC = 0;
const AF_INET = 2;

/** The loopback interface of every network namespace. */
export const LOOPBACK_INDEX = 1;

/** A pair of Ethernet devices joined by a wire (veth(4)): `name` here, `peer` in the namespace of the descriptor. */
export function addVethPair(link: { name: string; peer: string; netnsFd: number; mtu: number }): NetlinkRequest {
  const peer = [interfaceHeader(0), textAttribute(IFLA_IFNAME, link.peer), numberAttribute(IFLA_MTU, link.mtu)];
  const data = nested(VETH_INFO_PEER, ...peer, numberAttribute(IFLA_NET_NS_FD, link.netnsFd));
  const parts = [
    interfaceHeader(0),
    textAttribute(IFLA_IFNAME, link.name),
    numberAttribute(IFLA_MTU, link.mtu),
    nested(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, 'veth'), nested(IFLA_INFO_DATA, data)),
  ];
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, parts, verb: 'add', subject: `the veth pair ${link.name}` };
}

/** Asks for one interface by its name. */
export function getLink(name: string): NetlinkRequest {
  return {
    type: RTM_GETLINK,
    parts: [interfaceHeader(0), textAttribute(IFLA_IFNAME, name)],
    verb: 'find',
    subject: `the interface ${name}`,
  };
}

/** Switches an interface on, and says whose it is to those who list interfaces. */
export function setLinkUp(index: number, alias?: string): NetlinkRequest {
  const parts = [interfaceHeader(index, IFF_UP), ...(alias === undefined ? [] : [textAttribute(IFLA_IFALIAS, alias)])];
  return { type: RTM_SETLINK, parts, verb: 'switch on', subject: `interface ${index}` };
}

/** Gives an interface one of two addresses of a link; the route to the other one is made separately. */
export function addAddress(index: number, address: number): NetlinkRequest {
  const header = Buffer.from([AF_INET, 31, 0, RT_SCOPE_UNIVERSE, 0, 0, 0, 0]);
  header.writeUInt32LE(index, 4);
  const bytes = ipv4Bytes(address);
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    parts: [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes), numberAttribute(IFA_FLAGS, IFA_F_NOPREFIXROUTE)],
    verb: 'add',
    subject: `the address ${formatIpv4(address)}`,
  };
}

/** A route to one address through an interface. Fails with EEXIST when any route to that address is there. */
export function addHostRoute(index: number, address: number): NetlinkRequest {
  const parts = [routeHeader(32, RT_SCOPE_LINK), attribute(RTA_DST, ipv4Bytes(address)), numberAttribute(RTA_OIF, index)];
  return { type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, parts, verb: 'add', subject: `the route to ${formatIpv4(address)}` };
}

/** The default route. */
export function addDefaultRoute(index: number, gateway: number): NetlinkRequest {
  const parts = [routeHeader(0, RT_SCOPE_UNIVERSE), attribute(RTA_GATEWAY, ipv4Bytes(gateway)), numberAttribute(RTA_OIF, index)];
  return { type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, parts, verb: 'add', subject: `the route through ${formatIpv4(gateway)}` };
}

/** Which way a packet to `address` would go. Nothing is sent. */
export function findRoute(address: number): NetlinkRequest {
  const header = Buffer.alloc(12);
  header.writeUInt8(AF_INET, 0);
  header.writeUInt8(32, 1);
  const parts = [header, attribute(RTA_DST, ipv4Bytes(address))];
  return { type: RTM_GETROUTE, parts, verb: 'find', subject: `the route to ${formatIpv4(address)}` };
}

/** Dumps: every interface, every IPv4 address, every IPv4 route of every table. */
export const ALL_LINKS: NetlinkRequest = { type: RTM_GETLINK, parts: [interfaceHeader(0)], verb: 'list', subject: 'the interfaces' };
export const ALL_ADDRESSES: NetlinkRequest = {
  type: RTM_GETADDR,
  parts: [Buffer.from([AF_INET, 0, 0, 0, 0, 0, 0, 0])],
  verb: 'list',
  subject: 'the addresses',
};
export const ALL_ROUTES: NetlinkRequest = {
  type: RTM_GETROUTE,
  parts: [Buffer.from([AF_INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  verb: 'list',
  subject: 'the routes',
};

/** struct ifinfomsg. */
function interfaceHeader(index: number, flags = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(AF_UNSPEC, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(flags, 12);
  return header;
}

/** struct rtmsg of the main table. */
function routeHeader(length: number, scope: number): Buffer {
  return Buffer.from([AF_INET, length, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0, 0, 0, 0]);
}
