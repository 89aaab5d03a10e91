/** Changes of nf_tables as one transaction (linux/netfilter/nfnetlink.h): nothing of a batch counts unless all of it is good. */
import { NLM_F_ACK, NLM_F_REQUEST, nextSequence } from './exchange.ts';
import { nested, netlinkMessage, textAttribute } from './netlink-message.ts';
import type { NftExpression } from './nft-expression.ts';

export interface NftMessage {
  /** Without the subsystem. */
  readonly type: number;
  /** Besides NLM_F_REQUEST. */
  readonly flags: number;
  /** NFPROTO_* of the table. */
  readonly family: number;
  readonly attributes: readonly Buffer[];
}

export const NFT_MSG_NEWTABLE = 0;
export const NFT_MSG_NEWCHAIN = 3;
export const NFT_MSG_NEWRULE = 6;
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;

/** The datagram. Only its last message is acknowledged, with the sequence number `last`. */
export function nftBatch(messages: readonly NftMessage[], last: number): Buffer {
  const bytes = messages.map(({ type, flags, family, attributes }, index) => {
    const isLast = index === messages.length - 1;
    const parts = [Buffer.from([family, 0, 0, 0]), ...attributes];
    const all = NLM_F_REQUEST | flags | (isLast ? NLM_F_ACK : 0);
    return netlinkMessage((NFNL_SUBSYS_NFTABLES << 8) | type, all, isLast ? last : nextSequence(), parts);
  });
  const mark = (type: number): Buffer =>
    netlinkMessage(type, NLM_F_REQUEST, nextSequence(), [Buffer.from([0, 0, 0, NFNL_SUBSYS_NFTABLES])]);
  return Buffer.concat([mark(NFNL_MSG_BATCH_BEGIN), ...bytes, mark(NFNL_MSG_BATCH_END)]);
}

/** Of an NFT_MSG_NEWRULE. `table` is the attribute of the table's name. */
export function ruleAttributes(table: Buffer, chain: string, rule: readonly NftExpression[]): Buffer[] {
  return [table, textAttribute(2, chain), nested(4, ...rule.map((expression) => nested(1, expression)))];
}
