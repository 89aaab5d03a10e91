/** Real overlay mounts for tests, made by fixtures/layers/overlay-driver.py in a mount namespace of its own. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { applyChanges } from '../../src/layers/apply-changes.ts';
import { writeLayerTar } from '../../src/layers/layer-tar.ts';
import { overlayDiff } from '../../src/layers/overlay-diff.ts';
import { readLayer } from '../../src/layers/read-layer.ts';
import { openSnapshotter, type Snapshotter } from '../../src/snapshots/snapshotter.ts';
import { type ByteString, join } from '../../src/tree/byte-string.ts';
import type { Changeset } from '../../src/tree/change.ts';
import type { FileTree } from '../../src/tree/file-tree.ts';

/** Name, path, argument: see the driver. */
export type Operation = readonly [string, string, string | number];

export interface Dumped {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: string;
  readonly target?: string;
  readonly device?: number[];
  readonly content?: string;
  readonly xattrs: Record<string, string>;
  /** The first path of the inode's group, where it has several. */
  readonly inode?: string;
}

export interface Driver {
  /** Runs operations on an active snapshot's mount and returns the merged tree. */
  run(snapshots: Snapshotter, active: ReturnType<Snapshotter['prepare']>, ops: readonly Operation[]): Promise<Dumped[]>;
}

export function b(text: string): ByteString {
  return text as ByteString;
}

export function startDriver(): Driver {
  const child = spawn('unshare', ['-m', '--propagation', 'private', 'python3', 'fixtures/layers/overlay-driver.py'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  after(() => child.stdin.end());
  return {
    async run(snapshots, active, ops) {
      child.stdin.write(`${JSON.stringify({ ...snapshots.overlay(active), ops })}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('The overlay driver died');
      return groupInodes(JSON.parse(line.value) as Dumped[]);
    },
  };
}

export function temporaryDirectory(): string {
  const path = mkdtempSync(joinPath(tmpdir(), 'tsbuild-test-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function temporarySnapshotter(): Snapshotter {
  return openSnapshotter(temporaryDirectory());
}

/** The same facts as the driver's, as a FileTree says them. */
export function dumpTree(tree: FileTree): Dumped[] {
  const found: Dumped[] = [];
  const visit = (path: ByteString) => {
    const node = tree.stat(path);
    if (node === undefined) throw new Error(`Listed and not there: ${path}`);
    const { type, mode, uid, gid, size, mtimeNs, linkTarget, device, inode } = node;
    const xattrs = Object.fromEntries([...tree.xattrs(path)].map(([key, value]) => [key, value.toString('hex')]));
    found.push({
      path,
      type,
      mode,
      uid,
      gid,
      size,
      mtime: String(mtimeNs),
      ...(linkTarget === undefined ? {} : { target: linkTarget }),
      ...(device === undefined ? {} : { device: [device.major, device.minor] }),
      ...(type === 'file' ? { content: digestAndClose(tree.open(path)) } : {}),
      xattrs,
      ...(inode === undefined ? {} : { inode }),
    });
    if (type === 'directory') for (const name of tree.list(path)) visit(join(path, name));
  };
  visit(b(''));
  return groupInodes(found);
}

/** What a layer says: sockets have no form in it, and the root's time alone is no change. */
export function sayable(entries: readonly Dumped[]): Dumped[] {
  return entries.filter((entry) => entry.type !== 'socket').map((entry) => (entry.path === '' ? { ...entry, mtime: '' } : entry));
}

export async function tarOf(changes: Changeset): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of writeLayerTar(changes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What the active snapshot changes, as an archive. */
export async function tarOfActive(snapshots: Snapshotter, active: ReturnType<Snapshotter['prepare']>): Promise<Buffer> {
  using lower = snapshots.tree(active.parent?.name);
  return await tarOf(overlayDiff(active.upperFd, lower));
}

/** A committed snapshot with the archive's files on `parent`. */
export async function applyTar(snapshots: Snapshotter, tar: Buffer, how: { parent: string | undefined; name: string }): Promise<void> {
  const active = snapshots.prepare(how.parent);
  try {
    using lower = snapshots.tree(how.parent);
    await applyChanges(readLayer(pieces(tar)), active.upperFd, { lower });
    snapshots.commit(active, how.name);
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
}

export async function* pieces(bytes: Buffer, size = 100_000): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function groupInodes(entries: readonly Dumped[]): Dumped[] {
  const groups = new Map<string, string[]>();
  for (const { inode, path } of entries) if (inode !== undefined) groups.set(inode, [...(groups.get(inode) ?? []), path]);
  return entries.map(({ inode, ...entry }) => {
    const paths = inode === undefined ? [] : (groups.get(inode) ?? []);
    return paths.length > 1 ? { ...entry, inode: paths[0] ?? '' } : entry;
  });
}

function digestAndClose(fd: number): string {
  try {
    return createHash('sha256').update(readFileSync(fd)).digest('hex');
  } finally {
    closeSync(fd);
  }
}
