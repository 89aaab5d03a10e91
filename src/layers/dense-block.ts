/**
 * Content that is compressed already, or random: deflate takes twenty times as long as for text, and gains nothing. It is told by
 * samples: how evenly bytes are spread, which costs next to nothing, and then what deflate itself makes of two parts.
 */
import { deflateRaw } from 'node:zlib';

/** Bytes that are counted, at equal distances. */
const COUNTED = 8192;
/** Sum of squared counts, as multiples of what equal counts have; random bytes have 1.03 of so many. */
const UNEVEN = 1.1;
/** As far as deflate looks back. */
const PART_BYTES = 1 << 15;
const SMALLER = 0.99;

/** Depends on the bytes alone. Small blocks never are: there is nothing to win. */
export async function isDense(block: Buffer): Promise<boolean> {
  if (block.length < 4 * PART_BYTES || !isEven(block)) return false;
  const middle = block.length >> 1;
  return !(await shrinks(block.subarray(0, PART_BYTES))) && !(await shrinks(block.subarray(middle, middle + PART_BYTES)));
}

function isEven(block: Buffer): boolean {
  const counts = new Uint32Array(256);
  const distance = Math.floor(block.length / COUNTED);
  for (let index = 0; index < COUNTED; index++) {
    const byte = block[index * distance] ?? 0;
    counts[byte] = (counts[byte] ?? 0) + 1;
  }
  let squares = 0;
  for (const count of counts) squares += count * count;
  return squares < (UNEVEN * COUNTED * COUNTED) / counts.length;
}

function shrinks(part: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    deflateRaw(part, { level: 1 }, (error, result) => (error === null ? resolve(result.length < SMALLER * part.length) : reject(error)));
  });
}
