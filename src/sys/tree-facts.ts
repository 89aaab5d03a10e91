/**
 * What stat says of all files of a tree, in two numbers: whoever finds others later knows that somebody wrote there meanwhile. Facts are
 * path, type, mode, owner, size, inode, device, and the times of change; not what is in the files, and not how many names they have.
 */
import { closeSync } from 'node:fs';
import type { ByteString } from '../tree/byte-string.ts';
import { failure } from './errno.ts';
import { canExecute, codeAddress } from './executable-code.ts';
import { koffi } from './libc.ts';
import { Memory } from './memory.ts';
import { openDirectory } from './open.ts';
import { walkFacts } from './tree-facts-walk.ts';

export interface TreeFacts {
  readonly all: bigint;
  /** The same without ctime, which a hard link that is made elsewhere changes, too. */
  readonly steady: bigint;
}

/** Twin of `struct tree` in native/sum.c: its first words, then room for names. */
const HEADER_BYTES = 32;
const MEMORY_BYTES = 1 << 18;
/** For a directory of some million directories. */
const MEMORY_BYTES_MAX = 1 << 28;
const ENOMEM = 12;
const ROOT = '' as ByteString;

type Sum = ((tree: bigint) => number) & { async(tree: bigint, done: (error: unknown, result: number) => void): void };

let bound: Sum | undefined;

/** `path`: of a directory that nobody changes meanwhile. */
export function treeFacts(path: ByteString): TreeFacts {
  const fd = openDirectory(path);
  try {
    if (!canExecute('sum')) return walkFacts(fd);
    for (let bytes = MEMORY_BYTES; ; ) {
      using tree = treeMemory(fd, bytes);
      const result = Number(sum()(tree.address));
      if (result === 0) return factsIn(tree);
      bytes = bytesAfter(fd, result, bytes);
    }
  } finally {
    closeSync(fd);
  }
}

/** The same on another thread. */
export async function treeFactsAside(path: ByteString): Promise<TreeFacts> {
  const fd = openDirectory(path);
  try {
    if (!canExecute('sum')) return walkFacts(fd);
    for (let bytes = MEMORY_BYTES; ; ) {
      using tree = treeMemory(fd, bytes);
      const result = await new Promise<number>((resolve, reject) =>
        sum().async(tree.address, (error, value) => (error ? reject(error) : resolve(Number(value)))),
      );
      if (result === 0) return factsIn(tree);
      bytes = bytesAfter(fd, result, bytes);
    }
  } finally {
    closeSync(fd);
  }
}

/** How much memory the next try takes, where there is one. */
function bytesAfter(fd: number, result: number, bytes: number): number {
  if (result === -ENOMEM && bytes < MEMORY_BYTES_MAX) return bytes * 8;
  throw failure('look through', fd, ROOT, result);
}

function sum(): Sum {
  bound ??= koffi().decode(codeAddress('sum'), koffi().proto('long', ['uintptr_t'])) as Sum;
  return bound;
}

function treeMemory(fd: number, bytes: number): Memory {
  const memory = new Memory(bytes);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeBigInt64LE(BigInt(fd), 0);
  header.writeBigUInt64LE(BigInt(memory.size - HEADER_BYTES), 24);
  memory.write(0, header);
  return memory;
}

function factsIn(memory: Memory): TreeFacts {
  const header = memory.read(0, HEADER_BYTES);
  return { all: header.readBigUInt64LE(8), steady: header.readBigUInt64LE(16) };
}
