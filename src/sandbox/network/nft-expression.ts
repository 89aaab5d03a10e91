/** The expressions of nf_tables rules as bytes (linux/netfilter/nf_tables.h), as far as our rules use them. */
import { attribute, nested, networkNumberAttribute, textAttribute } from './netlink-message.ts';

/** One step of a rule: it loads into register 1, compares register 1 and goes on or leaves the rule, or decides. */
export type NftExpression = Buffer;

const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const REGISTER = 1;
const REGISTER_OF_VERDICT = 0;

const META_KEYS = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
const COMPARISONS = { equal: 0, different: 1 } as const;
const PAYLOAD_BASES = { network: 1, transport: 2 } as const;
const VERDICTS = { drop: 0, accept: 1 } as const;
const CT_STATE = 0;
/** Bits of the state of a connection: answers, and what belongs to them (linux/netfilter/nf_conntrack_common.h). */
const ESTABLISHED_OR_RELATED = 2 | 4;
const REJECT_ICMPX = 2;
const ICMPX_PORT_UNREACHABLE = 1;

/** Loads a property of the packet: interface names are 16 bytes, the protocols one. */
export function meta(key: keyof typeof META_KEYS): NftExpression {
  return expression('meta', networkNumberAttribute(1, REGISTER), networkNumberAttribute(2, META_KEYS[key]));
}

/** Loads bytes of a header. */
export function payload(base: keyof typeof PAYLOAD_BASES, offset: number, length: number): NftExpression {
  const numbers = [REGISTER, PAYLOAD_BASES[base], offset, length];
  return expression('payload', ...numbers.map((value, index) => networkNumberAttribute(index + 1, value)));
}

/** Goes on if what is loaded starts with `value`, or does not. */
export function compare(comparison: keyof typeof COMPARISONS, value: Buffer): NftExpression {
  return expression(
    'cmp',
    networkNumberAttribute(1, REGISTER),
    networkNumberAttribute(2, COMPARISONS[comparison]),
    nested(3, attribute(NFTA_DATA_VALUE, value)),
  );
}

/** Goes on if the packet answers one of the other direction (`equal`), or if not (`different`). */
export function answersConnection(comparison: keyof typeof COMPARISONS): NftExpression[] {
  const mask = Buffer.from([ESTABLISHED_OR_RELATED, 0, 0, 0]);
  const load = expression('ct', networkNumberAttribute(1, REGISTER), networkNumberAttribute(2, CT_STATE));
  const and = expression(
    'bitwise',
    networkNumberAttribute(1, REGISTER),
    networkNumberAttribute(2, REGISTER),
    networkNumberAttribute(3, mask.length),
    nested(4, attribute(NFTA_DATA_VALUE, mask)),
    nested(5, attribute(NFTA_DATA_VALUE, Buffer.alloc(mask.length))),
  );
  return [load, and, compare(comparison === 'equal' ? 'different' : 'equal', Buffer.alloc(mask.length))];
}

/** Decides. */
export function verdict(what: keyof typeof VERDICTS): NftExpression {
  const code = nested(NFTA_DATA_VERDICT, networkNumberAttribute(NFTA_VERDICT_CODE, VERDICTS[what]));
  return expression('immediate', networkNumberAttribute(1, REGISTER_OF_VERDICT), nested(2, code));
}

/** Drops and tells the sender, so that a connection is refused at once. */
export function reject(): NftExpression {
  return expression('reject', networkNumberAttribute(1, REJECT_ICMPX), attribute(2, Buffer.from([ICMPX_PORT_UNREACHABLE])));
}

/** Sends the packet on with the address of the interface that it leaves by. */
export function masquerade(): NftExpression {
  return expression('masq');
}

function expression(name: string, ...data: readonly Buffer[]): NftExpression {
  return Buffer.concat([textAttribute(NFTA_EXPR_NAME, name), nested(NFTA_EXPR_DATA, ...data)]);
}
