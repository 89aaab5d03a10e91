/** A header block's fields, byte by byte (POSIX.1-2017 pax "ustar Interchange Format"; GNU tar manual "Basic Tar Format"). */
import { TsbuildError } from '../errors.ts';
import type { ByteString } from '../tree/byte-string.ts';

/** As the block says, before any extended header; `mtimeSeconds` may be negative. */
export interface TarBlock {
  readonly name: ByteString;
  readonly typeFlag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly linkName: ByteString;
  readonly major: number;
  readonly minor: number;
}

const CHECKSUM_AT = 148;

/** Undefined for a block of zeros. Throws LAYER_INVALID for a wrong checksum and for numbers that are none, or beyond 2^53. */
export function parseTarBlock(block: Buffer): TarBlock | undefined {
  if (!isChecksumRight(block)) {
    if (block.every((byte) => byte === 0)) return undefined;
    throw new TsbuildError('LAYER_INVALID', 'Cannot read a layer: the checksum of a header is wrong');
  }
  const typeFlag = block.toString('latin1', 156, 157);
  const isDevice = typeFlag === '3' || typeFlag === '4';
  return {
    name: nameOf(block),
    typeFlag,
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtimeSeconds: parseSignedNumber(block, 136, 12),
    linkName: parseText(block, 157, 100),
    major: isDevice ? parseNumber(block, 329, 8) : 0,
    minor: isDevice ? parseNumber(block, 337, 8) : 0,
  };
}

/** POSIX ustar has a prefix (star's variant a shorter one); old GNU headers have times in its place. */
function nameOf(block: Buffer): ByteString {
  const name = parseText(block, 0, 100);
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = parseText(block, 345, isStar ? 131 : 155);
  return prefix === '' ? name : (`${prefix}/${name}` as ByteString);
}

/** Up to the first NUL. */
function parseText(block: Buffer, at: number, width: number): ByteString {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + width ? at + width : end) as ByteString;
}

function parseNumber(block: Buffer, at: number, width: number): number {
  const value = parseSignedNumber(block, at, width);
  if (value < 0) throw badNumber('is negative');
  return value;
}

/** Octal digits between blanks and NULs, or base-256 where the first bit is set; an empty field is 0. */
function parseSignedNumber(block: Buffer, at: number, width: number): number {
  if (((block[at] ?? 0) & 0x80) !== 0) return parseBase256(block, at, width);
  const text = block
    .toString('latin1', at, at + width)
    .replace(/^[ \0]+/, '')
    .replace(/[ \0]+$/, '');
  const digits = text.split('\0', 1)[0] ?? '';
  if (!/^[0-7]*$/.test(digits)) throw badNumber('is not octal');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Two's complement, big-endian, without the first bit. */
function parseBase256(block: Buffer, at: number, width: number): number {
  let value = BigInt.asIntN(7, BigInt((block[at] ?? 0) & 0x7f));
  for (let i = at + 1; i < at + width; i++) value = (value << 8n) | BigInt(block[i] ?? 0);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw badNumber('is beyond 2^53');
  return number;
}

/** Old writers summed signed bytes; readers accept both. */
function isChecksumRight(block: Buffer): boolean {
  let unsigned = 8 * 0x20;
  let negative = 0;
  for (let i = 0; i < block.length; i++) {
    const byte = block[i] as number;
    unsigned += byte;
    if (byte > 127) negative++;
  }
  for (let i = CHECKSUM_AT; i < CHECKSUM_AT + 8; i++) {
    const byte = block[i] as number;
    unsigned -= byte;
    if (byte > 127) negative--;
  }
  const signed = unsigned - 256 * negative;
  const text =
    block
      .toString('latin1', CHECKSUM_AT, CHECKSUM_AT + 8)
      .replace(/^[ \0]+|[ \0]+$/g, '')
      .split('\0', 1)[0] ?? '';
  if (!/^[0-7]+$/.test(text)) return false;
  const sum = Number.parseInt(text, 8);
  return sum === unsigned || sum === signed;
}

function badNumber(reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a layer: a number in a header ${reason}`);
}
