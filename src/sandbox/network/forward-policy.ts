/** Where another packet filter of the machine drops what steps send: an accepting rule in our own table cannot undo that. */
import type { NetlinkSocket } from '../../sys/netlink.ts';
import { dump, NLM_F_CREATE, nextSequence, receiveUntil } from './exchange.ts';
import { LINK_PREFIX } from './host-network.ts';
import { parseAttributes, textAttribute } from './netlink-message.ts';
import { NFT_MSG_NEWRULE, nftBatch, ruleAttributes } from './nft-batch.ts';
import { compare, meta, verdict } from './nft-expression.ts';

/** A chain that drops forwarded packets unless a rule says otherwise. */
export interface DroppingChain {
  /** NFPROTO_* of the table. */
  readonly family: number;
  readonly table: string;
  readonly chain: string;
}

const NFT_MSG_GETCHAIN = (10 << 8) | 4;
const NFT_MSG_GETRULE = (10 << 8) | 7;
const NFPROTO_INET = 1;
const NFPROTO_IPV4 = 2;
const NF_INET_FORWARD = 2;
const NF_DROP = 0;
const [CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, HOOK_NUMBER] = [1, 3, 4, 5, 1];

/**
 * The first chain of the forward hook whose policy is to drop, as Docker and some firewalls set it, unless a rule of its
 * table speaks of our interfaces. Chains of the older iptables (x_tables) are not seen. `socket` is of NETLINK_NETFILTER.
 */
export function findDroppingChain(socket: NetlinkSocket): DroppingChain | undefined {
  for (const family of [NFPROTO_INET, NFPROTO_IPV4]) {
    const header = Buffer.from([family, 0, 0, 0]);
    const chains = dump(socket, { type: NFT_MSG_GETCHAIN, parts: [header], verb: 'list', subject: 'the chains of nf_tables' });
    for (const { body } of chains) {
      const attributes = parseAttributes(body.subarray(4));
      const hook = parseAttributes(attributes.get(CHAIN_HOOK) ?? Buffer.alloc(0))
        .get(HOOK_NUMBER)
        ?.readUInt32BE(0);
      const table = text(attributes.get(CHAIN_TABLE));
      const drops = hook === NF_INET_FORWARD && attributes.get(CHAIN_POLICY)?.readUInt32BE(0) === NF_DROP;
      if (drops && !speaksOfSteps(socket, header, table)) return { family, table, chain: text(attributes.get(CHAIN_NAME)) };
    }
  }
  return undefined;
}

/**
 * Puts two rules at the chain's head that accept what comes from steps or goes to them; our own table still decides what of
 * that may pass. They name our interfaces only and stay for the next build, as Docker's own rules there do.
 */
export function letStepsPass(socket: NetlinkSocket, { family, table, chain }: DroppingChain): void {
  const prefix = compare('equal', Buffer.from(LINK_PREFIX));
  const messages = (['iifname', 'oifname'] as const).map((name) => {
    const attributes = ruleAttributes(textAttribute(CHAIN_TABLE, table), chain, [meta(name), prefix, verdict('accept')]);
    return { type: NFT_MSG_NEWRULE, flags: NLM_F_CREATE, family, attributes };
  });
  const last = nextSequence();
  socket.send(nftBatch(messages, last));
  receiveUntil(
    socket,
    { verb: 'add a rule to', subject: `the chain ${chain} of the nf_tables table ${table}` },
    ({ sequence }) => sequence === last,
  );
}

function speaksOfSteps(socket: NetlinkSocket, header: Buffer, table: string): boolean {
  const parts = [header, textAttribute(CHAIN_TABLE, table)];
  const rules = dump(socket, { type: NFT_MSG_GETRULE, parts, verb: 'list', subject: `the rules of the nf_tables table ${table}` });
  return rules.some(({ body }) => body.includes(LINK_PREFIX));
}

function text(value: Buffer | undefined): string {
  return value?.toString('latin1').replace(/\0.*$/s, '') ?? '';
}
