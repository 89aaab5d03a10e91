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
const PREFIX_AT = 345;
const PREFIX_END = 500;
const STAR_PREFIX_BYTES = 131;

/** Undefined for a block of zeros. Throws LAYER_INVALID for a wrong checksum and for numbers that are none, or beyond 2^53. */
export function parseTarBlock(block: Buffer): TarBlock | undefined {
  if (!isTarBlock(block)) {
    if (block.every((byte) => byte === 0)) return undefined;
    throw invalid('the checksum of a header is wrong');
  }
  const isUstar = block.toString('latin1', 257, 265) === 'ustar\x0000';
  if (!isUstar) refuseGuesses(block);
  return {
    name: isUstar ? nameOf(block) : parseText(block, 0, 100),
    typeFlag: block.toString('latin1', 156, 157),
    mode: parseNumber(block, 100, 8),
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtimeSeconds: parseSignedNumber(block, 136, 12),
    linkName: parseText(block, 157, 100),
    // Of every type: some readers look at them always, and give up where they are no numbers.
    major: parseNumber(block, 329, 8),
    minor: parseNumber(block, 337, 8),
  };
}

/** POSIX ustar has a prefix; star's variant a shorter one, and times behind it. */
function nameOf(block: Buffer): ByteString {
  const name = parseText(block, 0, 100);
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = parseText(block, PREFIX_AT, PREFIX_END - PREFIX_AT);
  if (isStar && prefix.length >= STAR_PREFIX_BYTES) throw invalid('readers disagree about where the name of an entry ends');
  return prefix === '' ? name : (`${prefix}/${name}` as ByteString);
}

/**
 * Before ustar there was no prefix, and no device; GNU's old headers have times in its place. Python's tarfile reads a prefix whatever the
 * magic says, Go's archive/tar where it finds no times, and GNU tar by the magic without its version.
 */
function refuseGuesses(block: Buffer): void {
  if (block.subarray(PREFIX_AT, PREFIX_END).some((byte) => byte !== 0)) throw invalid('readers disagree about the name of an entry');
  const isGnu = block.toString('latin1', 257, 265) === 'ustar  \0';
  if (!isGnu && block.subarray(329, PREFIX_AT).some((byte) => byte !== 0 && byte !== 0x20 && byte !== 0x30))
    throw invalid('readers disagree about the device of an entry');
}

/** Up to the first NUL. */
function parseText(block: Buffer, at: number, width: number): ByteString {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 || end > at + width ? at + width : end) as ByteString;
}

function parseNumber(block: Buffer, at: number, width: number): number {
  const value = parseSignedNumber(block, at, width);
  if (value < 0) throw invalid('a number in a header is negative');
  return value;
}

/** Octal digits after blanks and before blanks or a NUL, or base-256 where the first byte says so; an empty field is 0. */
function parseSignedNumber(block: Buffer, at: number, width: number): number {
  const first = block[at] ?? 0;
  // Of base-256 only the first bit is the mark (Go); GNU tar and Python know these two bytes.
  if (first === 0x80 || first === 0xff) return parseBase256(block, at, width);
  const digits = octalDigits(block.toString('latin1', at, at + width));
  if (digits === undefined) throw invalid('a number in a header is not octal');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Undefined for what some readers take for a number and others do not, such as digits behind a NUL or before a blank and a NUL. */
function octalDigits(field: string): string | undefined {
  const match = /^ *([0-7]*)(?:[ \0]*$|\0)/.exec(field);
  const digits = match?.[1];
  return digits === '' && /[^ \0]/.test(field) ? undefined : digits;
}

/** Two's complement, big-endian, without the first bit. */
function parseBase256(block: Buffer, at: number, width: number): number {
  let value = BigInt.asIntN(7, BigInt((block[at] ?? 0) & 0x7f));
  for (let i = at + 1; i < at + width; i++) value = (value << 8n) | BigInt(block[i] ?? 0);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw invalid('a number in a header is beyond 2^53');
  return number;
}

/** Whether the block is a header, by its checksum, were it one that we refuse to read. Old writers summed signed bytes; readers accept both. */
export function isTarBlock(block: Buffer): boolean {
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
  const text = octalDigits(block.toString('latin1', CHECKSUM_AT, CHECKSUM_AT + 8)) ?? '';
  const sum = Number.parseInt(text, 8);
  return sum === unsigned || sum === signed;
}

function invalid(reason: string): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a layer: ${reason}`);
}
