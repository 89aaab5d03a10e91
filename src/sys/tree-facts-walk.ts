/** native/sum.c once more, for machines that it is not for, or whose kernel lets no memory become executable. */
import { closeSync, constants } from 'node:fs';
import { type ByteString, toBuffer } from '../tree/byte-string.ts';
import { openAt } from './open.ts';
import { listDirectory, statWordsAt } from './stat.ts';
import type { TreeFacts } from './tree-facts.ts';

const FACTOR = 0x9e3779b97f4a7c15n;
const LOW = 0xffff_ffffn;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const ROOT = '' as ByteString;
/** Words of struct statx. */
const [UID, GID_AND_MODE, INODE, SIZE, CTIME, MTIME, DEVICE] = [2, 3, 4, 5, 12, 14, 16] as const;

interface Sums {
  all: bigint;
  steady: bigint;
}

export function walkFacts(fd: number): TreeFacts {
  const sums: Sums = { all: 0n, steady: 0n };
  const root = statWordsAt(fd, ROOT);
  root.fill(0n, CTIME, CTIME + 2);
  add(sums, 0n, root);
  const own = openAt(fd, ROOT, OPEN_DIRECTORY);
  try {
    addBelow(sums, own, 0n);
  } finally {
    closeSync(own);
  }
  return { all: BigInt.asUintN(64, sums.all), steady: BigInt.asUintN(64, sums.steady) };
}

function addBelow(sums: Sums, fd: number, path: bigint): void {
  for (const name of listDirectory(fd)) {
    const words = statWordsAt(fd, name);
    const own = mixName(path, name);
    add(sums, own, words);
    if (((Number(words[GID_AND_MODE]) / 2 ** 32) & constants.S_IFMT) !== constants.S_IFDIR) continue;
    const directory = openAt(fd, name, OPEN_DIRECTORY);
    try {
      addBelow(sums, directory, own);
    } finally {
      closeSync(directory);
    }
  }
}

function add(sums: Sums, path: bigint, words: BigUint64Array): void {
  const word = (at: number): bigint => words[at] ?? 0n;
  const facts = [word(UID) >> 32n, word(GID_AND_MODE), word(INODE), word(SIZE), word(MTIME), word(MTIME + 1) & LOW, word(DEVICE)];
  const steady = facts.reduce(mix, path);
  sums.steady += mix(steady, 0n);
  sums.all += mix(mix(mix(steady, word(CTIME)), word(CTIME + 1) & LOW), 0n);
}

function mix(sum: bigint, value: bigint): bigint {
  const product = BigInt.asUintN(64, (sum ^ value) * FACTOR);
  return product ^ (product >> 29n);
}

function mixName(path: bigint, name: ByteString): bigint {
  const bytes = toBuffer(name);
  const padded = Buffer.concat([bytes, Buffer.alloc(8 - (bytes.length % 8))]);
  let sum = path;
  for (let at = 0; at < padded.length; at += 8) sum = mix(sum, padded.readBigUInt64LE(at));
  return mix(sum, BigInt(bytes.length));
}
