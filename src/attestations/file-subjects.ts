/** Outputs that are files are known by the digest of each. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type ByteString, toText } from '../tree/byte-string.ts';
import type { FileTree } from '../tree/file-tree.ts';
import { wholeTree } from '../tree/whole-tree.ts';
import type { Subject } from './statement.ts';

/** Every regular file of the tree, in the order of a walk. */
export async function fileSubjects(tree: FileTree, signal: AbortSignal): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const { path, node } of wholeTree(tree)) {
    if (node.type === 'file') subjects.push({ name: toText(path), digest: { sha256: await digestAt(tree, path, signal) } });
  }
  return subjects;
}

async function digestAt(tree: FileTree, path: ByteString, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream('', { fd: tree.open(path), autoClose: true }), hash, { signal });
  return hash.digest('hex');
}
