/** The packet filter of a pool of networks: one nf_tables table, and how the kernel takes it. */
import { SyscallError, TsbuildError } from '../../errors.ts';
import type { NetlinkSocket } from '../../sys/netlink.ts';
import { NLM_F_CREATE, NLM_F_EXCL, nextSequence, receiveUntil } from './exchange.ts';
import { LINK_PREFIX } from './host-network.ts';
import { ipv4Bytes, type Prefix } from './ipv4.ts';
import { nested, networkNumberAttribute, textAttribute } from './netlink-message.ts';
import { NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, type NftMessage, nftBatch, ruleAttributes } from './nft-batch.ts';
import { answersConnection, compare, masquerade, meta, type NftExpression, payload, reject, verdict } from './nft-expression.ts';

export interface Ruleset {
  /** Unique among the processes of the machine. */
  readonly table: string;
  /** The addresses of steps. */
  readonly range: Prefix;
  /** Addresses of the machine itself that steps may ask for names. */
  readonly ownNameServers: readonly number[];
}

interface Chain {
  readonly name: string;
  readonly type: 'filter' | 'nat';
  readonly hook: number;
  readonly priority: number;
  readonly rules: readonly (readonly NftExpression[])[];
}

const NLM_F_APPEND = 0x800;
const NFT_TABLE_F_OWNER = 2;
const NFPROTO_INET = 1;
const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;
const NF_INET_LOCAL_IN = 1;
const NF_INET_FORWARD = 2;
const NF_INET_POST_ROUTING = 4;
const PRIORITY_FILTER = 0;
const PRIORITY_SOURCE_NAT = 100;
const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;
const DNS_PORT = 53;
const TRANSPORT_PROTOCOLS = { tcp: 6, udp: 17 } as const;

/**
 * Makes the table in one transaction. `socket` is of NETLINK_NETFILTER and owns it: the kernel removes the table when the
 * socket is closed, however the process ends.
 */
export function installRuleset(socket: NetlinkSocket, ruleset: Ruleset): void {
  const last = nextSequence();
  socket.send(rulesetBatch(ruleset, last));
  try {
    receiveUntil(socket, { verb: 'add', subject: `the nf_tables table ${ruleset.table}` }, (message) => message.sequence === last);
  } catch (error) {
    throw error instanceof SyscallError && UNSUPPORTED.has(error.errno) ? unsupported(error) : error;
  }
}

/** What a kernel says that lacks nf_tables, one of the expressions, or tables with an owner. */
const UNSUPPORTED = new Set(['ENOENT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOTSUP', 'EAFNOSUPPORT', 'EINVAL']);

function unsupported(cause: SyscallError): TsbuildError {
  return new TsbuildError(
    'NETWORK_SETUP',
    `Cannot set up address translation for steps: the kernel refuses nf_tables rules (${cause.errno})`,
    {
      hint: 'Load the kernel modules nf_tables, nft_masq, nft_reject_inet and nft_ct (Linux 5.12 or newer), or give the step the network of the machine.',
      cause,
    },
  );
}

/** The datagram: nothing of a batch counts unless all of it is good. Only the message `last` is acknowledged. */
export function rulesetBatch(ruleset: Ruleset, last: number): Buffer {
  const table = textAttribute(1, ruleset.table);
  const messages = [
    nftMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, [table, networkNumberAttribute(2, NFT_TABLE_F_OWNER)]),
    ...chainsOf(ruleset).flatMap((chain) => [
      nftMessage(NFT_MSG_NEWCHAIN, NLM_F_CREATE, chainAttributes(table, chain)),
      ...chain.rules.map((rule) => nftMessage(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, ruleAttributes(table, chain.name, rule))),
    ]),
  ];
  return nftBatch(messages, last);
}

/** The rules go by the names of interfaces, so that a new step needs no new rule and steps of other processes are covered. */
function chainsOf({ range, ownNameServers }: Ruleset): Chain[] {
  const input = [
    ...ownNameServers.flatMap((address) => [dnsRule(address, 'udp'), dnsRule(address, 'tcp')]),
    [...fromStep(), ...answersConnection('equal'), verdict('accept')],
    [...fromStep(), reject()],
  ];
  const forward = [
    [...fromStep(), ...toStep('equal'), reject()],
    [...toStep('equal'), ...answersConnection('different'), verdict('drop')],
    [...fromStep(), meta('nfproto'), compare('equal', Buffer.from([NFPROTO_IPV6])), reject()],
  ];
  const prefix = ipv4Bytes(range.address).subarray(0, range.length / 8);
  const source = [...isIpv4(), payload('network', IPV4_SOURCE, prefix.length), compare('equal', prefix)];
  const postrouting = [[...source, ...toStep('different'), masquerade()]];
  return [
    { name: 'input', type: 'filter', hook: NF_INET_LOCAL_IN, priority: PRIORITY_FILTER, rules: input },
    { name: 'forward', type: 'filter', hook: NF_INET_FORWARD, priority: PRIORITY_FILTER, rules: forward },
    { name: 'postrouting', type: 'nat', hook: NF_INET_POST_ROUTING, priority: PRIORITY_SOURCE_NAT, rules: postrouting },
  ];
}

function dnsRule(address: number, transport: keyof typeof TRANSPORT_PROTOCOLS): NftExpression[] {
  const destination = [payload('network', IPV4_DESTINATION, 4), compare('equal', ipv4Bytes(address))];
  const protocol = [meta('l4proto'), compare('equal', Buffer.from([TRANSPORT_PROTOCOLS[transport]]))];
  const port = [payload('transport', 2, 2), compare('equal', Buffer.from([0, DNS_PORT]))];
  return [...fromStep(), ...isIpv4(), ...destination, ...protocol, ...port, verdict('accept')];
}

function fromStep(): NftExpression[] {
  return [meta('iifname'), compare('equal', Buffer.from(LINK_PREFIX))];
}

function toStep(comparison: 'equal' | 'different'): NftExpression[] {
  return [meta('oifname'), compare(comparison, Buffer.from(LINK_PREFIX))];
}

function isIpv4(): NftExpression[] {
  return [meta('nfproto'), compare('equal', Buffer.from([NFPROTO_IPV4]))];
}

function chainAttributes(table: Buffer, chain: Chain): Buffer[] {
  const hook = nested(4, networkNumberAttribute(1, chain.hook), networkNumberAttribute(2, chain.priority));
  return [table, textAttribute(3, chain.name), hook, textAttribute(7, chain.type)];
}

function nftMessage(type: number, flags: number, attributes: readonly Buffer[]): NftMessage {
  return { type, flags, family: NFPROTO_INET, attributes };
}
