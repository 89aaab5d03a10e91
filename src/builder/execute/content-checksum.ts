/**
 * A digest over everything that a COPY would take from its sources: names, types, modes, owners, sizes, links, devices,
 * xattrs and contents. Times do not count: touching a file is no change (row C19 of the language reference).
 */
import { createHash, hash as digestOf } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fromBuffer } from '../../tree/byte-string.ts';
import type { FileNode, FileTree, Xattrs } from '../../tree/file-tree.ts';
import { type CopySource, type SourceEntry, walkSource } from './copy-sources.ts';

/** Remembers file digests between builds; cache/stat-index.ts is one. */
export interface KnownDigests {
  get(file: string, stamp: FileNode): string | undefined;
  set(file: string, stamp: FileNode, digest: string, readAtMs: number): void;
}

export interface ChecksumOptions {
  readonly known?: KnownDigests | undefined;
  readonly signal: AbortSignal;
  readonly note?: NoteEntry | undefined;
}

/** Is told each file, with the digest of its content where it has one. */
export type NoteEntry = (entry: SourceEntry, content: string | undefined, xattrs: Xattrs) => void;

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
    const hash = createHash('sha256').update(field(source.name) + placeFields(tree, source), 'latin1');
    for (const entry of walkSource(tree, source)) {
      if (++files % TURN_FILES === 0) await nextTurn(undefined, { signal: options.signal });
      const xattrs = tree.xattrs(entry.path);
      let fields = field(entry.relative) + describe(entry.node, xattrs);
      let content: string | undefined;
      if (entry.node.type === 'file') {
        content = options.known?.get(entry.path, entry.node) ?? (await readDigest(tree, entry, { options, buffer }));
        fields += field(content);
      }
      hash.update(fields, 'latin1');
      options.note?.(entry, content, xattrs);
    }
    checksums.push(hash.digest('hex'));
  }
  return checksums;
}

/** With `--parents`: where it lands, and the directories that are copied on the way. */
function placeFields(tree: FileTree, { place }: CopySource): string {
  if (place === undefined) return '';
  const parents = place.parents.map(({ path, node }) => describe(node, tree.xattrs(path)));
  return field(place.path) + parents.map(field).join('');
}

/** The first field says how many more there are. */
function describe(node: FileNode, xattrs: Xattrs): string {
  const device = node.device === undefined ? '' : `${node.device.major}:${node.device.minor}`;
  const count = xattrs.size === 0 ? '' : ` ${xattrs.size}`;
  let fields = field(`${node.type} ${node.mode} ${node.uid} ${node.gid} ${node.size} ${device}${count}`) + field(node.linkTarget ?? '');
  for (const [name, value] of xattrs) fields += field(name) + field(fromBuffer(value));
  return fields;
}

/** Length first, so that no two lists of fields look the same. One character is one byte. */
function field(value: string): string {
  return `${value.length}:${value}`;
}

interface Reading {
  readonly options: ChecksumOptions;
  /** CHUNK bytes, used for one file after another. */
  readonly buffer: Buffer;
}

async function readDigest(tree: FileTree, { path, node }: SourceEntry, reading: Reading): Promise<string> {
  const startedAt = Date.now();
  const fd = tree.open(path);
  try {
    const read = readSync(fd, reading.buffer);
    const isWhole = read === node.size && read < CHUNK;
    const digest = isWhole ? digestOf('sha256', reading.buffer.subarray(0, read)) : await digestOfLarge(fd, read, reading);
    reading.options.known?.set(path, node, digest, startedAt);
    return digest;
  } finally {
    closeSync(fd);
  }
}

/** `buffer` holds the first `start` bytes. */
async function digestOfLarge(fd: number, start: number, { options, buffer }: Reading): Promise<string> {
  const hash = createHash('sha256').update(buffer.subarray(0, start));
  for (let sinceTurn = start; ; ) {
    const read = readSync(fd, buffer);
    if (read === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, read));
    sinceTurn += read;
    if (sinceTurn < TURN) continue;
    sinceTurn = 0;
    await nextTurn(undefined, { signal: options.signal });
  }
}
