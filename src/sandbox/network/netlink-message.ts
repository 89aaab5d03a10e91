/** Netlink messages and their attributes as bytes (netlink(7)); the machine's byte order is little-endian throughout. */

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header. */
  readonly body: Buffer;
}

const HEADER_SIZE = 16;
const ATTRIBUTE_HEADER_SIZE = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** struct nlmsghdr and what follows it; every part is already padded to 4 bytes. */
export function netlinkMessage(type: number, flags: number, sequence: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt32LE(HEADER_SIZE + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

/** struct nlattr with its value, padded. */
export function attribute(type: number, value: Buffer): Buffer {
  const size = ATTRIBUTE_HEADER_SIZE + value.length;
  const bytes = Buffer.alloc(align(size));
  bytes.writeUInt16LE(size, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, ATTRIBUTE_HEADER_SIZE);
  return bytes;
}

/** An attribute that holds attributes. */
export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

/** A name with its NUL. */
export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`));
}

/** A number as rtnetlink has it. */
export function numberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return attribute(type, bytes);
}

/** A number as nf_tables has it: in network byte order. */
export function networkNumberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return attribute(type, bytes);
}

/** The messages of one datagram; throws a plain Error when the kernel's bytes do not add up. */
export function parseMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    const size = at + HEADER_SIZE <= datagram.length ? datagram.readUInt32LE(at) : 0;
    if (size < HEADER_SIZE || at + size > datagram.length) {
      throw new Error(`A netlink message of ${size} bytes at ${at} does not fit into ${datagram.length}`);
    }
    const body = datagram.subarray(at + HEADER_SIZE, at + size);
    const [type, flags] = [datagram.readUInt16LE(at + 4), datagram.readUInt16LE(at + 6)];
    messages.push({ type, flags, sequence: datagram.readUInt32LE(at + 8), body });
    at += align(size);
  }
  return messages;
}

/** Type → value; of attributes of one type the last. */
export function parseAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + ATTRIBUTE_HEADER_SIZE <= bytes.length; ) {
    const size = bytes.readUInt16LE(at);
    if (size < ATTRIBUTE_HEADER_SIZE || at + size > bytes.length) {
      throw new Error(`A netlink attribute of ${size} bytes at ${at} does not fit into ${bytes.length}`);
    }
    attributes.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER_SIZE, at + size));
    at += align(size);
  }
  return attributes;
}

function align(size: number): number {
  return (size + 3) & ~3;
}
