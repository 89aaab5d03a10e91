/**
 * Content that is compressed already, or random: deflate takes twenty times as long as for text, and gains nothing. It gains where some
 * bytes are more frequent than others, and where sequences repeat themselves: samples tell both.
 */

/** Bytes that are counted, at equal distances. */
const COUNTED = 8192;
/** Sum of squared counts, as multiples of what equal counts have; random bytes have 1.03 of so many. */
const UNEVEN = 1.1;
/** As far as deflate looks back. */
const PART_BYTES = 1 << 15;
/** Of a part's sequences of four bytes: as many as make it one percent smaller. */
const REPEATED = PART_BYTES / 100;
const HASH_BITS = 14;

/** Depends on the bytes alone. Small blocks never are: there is nothing to win. */
export function isDense(block: Buffer): boolean {
  if (block.length < 4 * PART_BYTES || !isEven(block)) return false;
  const middle = block.length >> 1;
  return !isRepetitive(block.subarray(0, PART_BYTES)) && !isRepetitive(block.subarray(middle, middle + PART_BYTES));
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

/** Each sequence is remembered until another takes its place. */
function isRepetitive(part: Buffer): boolean {
  const seen = new Int32Array(1 << HASH_BITS);
  let repeated = 0;
  let sequence = 0;
  for (let index = 0; index < part.length; index++) {
    sequence = (sequence << 8) | (part[index] ?? 0);
    const at = Math.imul(sequence, 0x9e3779b1) >>> (32 - HASH_BITS);
    if (seen[at] === sequence) repeated++;
    seen[at] = sequence;
  }
  return repeated > REPEATED;
}
