/** The frame of a gzip member (RFC 1952 2.3), the same whoever compresses: no time, system unknown. */
import { crc32 } from 'node:zlib';
import { deflate } from './deflate.ts';

/** The ninth byte says "slowest" or "fastest". */
const HEADER = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

export function gzipHeader(level: number): Buffer {
  return Buffer.from(HEADER.with(8, level === 9 ? 2 : level === 1 ? 4 : 0));
}

export function gzipTrailer(checksum: number, size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(checksum, 0);
  bytes.writeUInt32LE(size % 2 ** 32, 4);
  return bytes;
}

/** A whole member, compressed on libuv's pool. */
export async function gzipMember(content: Buffer, level: number): Promise<Buffer> {
  const body = await deflate(content, { level, isLast: true });
  return Buffer.concat([gzipHeader(level), ...body, gzipTrailer(crc32(content), content.length)]);
}
