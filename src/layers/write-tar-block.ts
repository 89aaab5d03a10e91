/**
 * A ustar header block, written in place (POSIX.1-2017 pax, "ustar Interchange Format"). By loops over bytes: a layer of small files
 * is headers for the most part, and a call of Buffer takes longer than a field.
 */
export const BLOCK_BYTES = 512;

/** Names are byte strings and fit their fields; numbers do, too. */
export interface UstarFields {
  readonly name: string;
  readonly typeFlag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Since 1970. */
  readonly seconds: number;
  readonly linkName?: string;
  /** Both or none. */
  readonly major?: number;
  readonly minor?: number;
  readonly prefix?: string;
}

const BLANK = 0x20;
const MAGIC_AND_VERSION = 'ustar\x0000';

/** Into 512 zeros that start at `at` in `memory`. */
export function writeTarBlock(memory: Uint8Array, at: number, fields: UstarFields): void {
  const sum =
    writeText(memory, at, fields.name) +
    writeOctal(memory, at + 100, 7, fields.mode) +
    writeOctal(memory, at + 108, 7, fields.uid) +
    writeOctal(memory, at + 116, 7, fields.gid) +
    writeOctal(memory, at + 124, 11, fields.size) +
    writeOctal(memory, at + 136, 11, fields.seconds) +
    writeText(memory, at + 156, fields.typeFlag) +
    writeText(memory, at + 157, fields.linkName ?? '') +
    writeText(memory, at + 257, MAGIC_AND_VERSION) +
    (fields.major === undefined ? 0 : writeOctal(memory, at + 329, 7, fields.major)) +
    (fields.minor === undefined ? 0 : writeOctal(memory, at + 337, 7, fields.minor)) +
    writeText(memory, at + 345, fields.prefix ?? '');
  // Of all bytes, with the sum's own field as blanks: six digits, NUL, blank.
  writeOctal(memory, at + 148, 6, sum + 8 * BLANK);
  memory[at + 155] = BLANK;
}

/** Returns the sum of what it wrote. */
function writeText(memory: Uint8Array, at: number, text: string): number {
  let sum = 0;
  for (let index = 0; index < text.length; index++) {
    const byte = text.charCodeAt(index);
    memory[at + index] = byte;
    sum += byte;
  }
  return sum;
}

/** Likewise. */
function writeOctal(memory: Uint8Array, at: number, digits: number, value: number): number {
  let sum = 0;
  let rest = value;
  for (let index = at + digits - 1; index >= at; index--) {
    // The lowest three bits, of numbers beyond 2^32, too.
    const digit = rest & 7;
    memory[index] = 0x30 + digit;
    sum += 0x30 + digit;
    rest = (rest - digit) / 8;
  }
  return sum;
}
