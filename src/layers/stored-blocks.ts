/** Bytes as deflate stores them without compression, by ourselves: zlib would copy them, and choose where its blocks end. Source: RFC 1951 3.2.4. */

/** What a length of two bytes can say. */
const LENGTH_MAX = 0xffff;

/**
 * In parts, of which every second one is part of `content` itself. They begin and end on a byte boundary; `isLast`: nothing comes after
 * them. Content without bytes is one block without bytes.
 */
export function* storedBlocks(content: Buffer, isLast: boolean): Generator<Buffer, void, undefined> {
  let at = 0;
  do {
    const part = content.subarray(at, at + LENGTH_MAX);
    at += part.length;
    const header = Buffer.alloc(5);
    header[0] = isLast && at === content.length ? 1 : 0;
    header.writeUInt16LE(part.length, 1);
    header.writeUInt16LE(~part.length & LENGTH_MAX, 3);
    yield header;
    yield part;
  } while (at < content.length);
}
