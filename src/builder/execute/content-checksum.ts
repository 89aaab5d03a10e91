/**
 * A digest over everything that a COPY would take from its sources: names, types, modes, owners, sizes, links, devices,
 * xattrs and contents. Times do not count: touching a file is no change (row C19 of the language reference).
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ByteString } from '../../tree/byte-string.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import { type CopySource, walkSource } from './copy-sources.ts';

/** Remembers file digests between builds; cache/stat-index.ts is one. */
export interface KnownDigests {
  get(file: string, stamp: FileNode): string | undefined;
  set(file: string, stamp: FileNode, digest: string, readAtMs: number): void;
}

export interface ChecksumOptions {
  readonly known?: KnownDigests | undefined;
  readonly signal: AbortSignal;
}

const CHUNK = 1 << 20;
/** Bytes between two turns of the event loop, so that signals and progress are served. */
const TURN = 16 << 20;
/** Files between two turns. */
const TURN_FILES = 500;

/** One digest (hex) per source, in their order. */
export async function contentChecksum(tree: FileTree, sources: readonly CopySource[], options: ChecksumOptions): Promise<string[]> {
  const checksums: string[] = [];
  const buffer = Buffer.allocUnsafe(CHUNK);
  let files = 0;
  for (const source of sources) {
    const hash = createHash('sha256');
    field(hash, source.name);
    for (const entry of walkSource(tree, source)) {
      if (++files % TURN_FILES === 0) await nextTurn(undefined, { signal: options.signal });
      field(hash, entry.relative);
      describeNode(hash, entry.node);
      for (const [name, value] of tree.xattrs(entry.path)) {
        field(hash, name);
        field(hash, value);
      }
      if (entry.node.type === 'file') field(hash, await fileDigest(tree, entry, { ...options, buffer }));
    }
    checksums.push(hash.digest('hex'));
  }
  return checksums;
}

function describeNode(hash: Hash, node: FileNode): void {
  const device = node.device === undefined ? '' : `${node.device.major}:${node.device.minor}`;
  field(hash, `${node.type} ${node.mode} ${node.uid} ${node.gid} ${node.size} ${device}`);
  field(hash, node.linkTarget ?? '');
}

/** Length first, so that no two lists of fields look the same. */
function field(hash: Hash, value: string | Buffer): void {
  hash.update(`${value.length}:`);
  hash.update(typeof value === 'string' ? Buffer.from(value, 'latin1') : value);
}

interface ReadOptions extends ChecksumOptions {
  readonly buffer: Buffer;
}

async function fileDigest(tree: FileTree, { path, node }: { path: ByteString; node: FileNode }, options: ReadOptions): Promise<string> {
  const known = options.known?.get(path, node);
  if (known !== undefined) return known;
  const startedAt = Date.now();
  const hash = createHash('sha256');
  const fd = tree.open(path);
  try {
    for (let read = 0, sinceTurn = 0; ; ) {
      read = readSync(fd, options.buffer);
      if (read === 0) break;
      hash.update(options.buffer.subarray(0, read));
      sinceTurn += read;
      if (sinceTurn >= TURN) {
        sinceTurn = 0;
        await nextTurn(undefined, { signal: options.signal });
      }
    }
  } finally {
    closeSync(fd);
  }
  const digest = hash.digest('hex');
  options.known?.set(path, node, digest, startedAt);
  return digest;
}
