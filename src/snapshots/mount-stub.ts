/**
 * Mount targets that a step needs and its image does not have, made in the upper directory before the mounts and taken away
 * after the step, so that neither they nor their parents' times show in the layer (docker leaves both behind).
 */
import { closeSync, constants } from 'node:fs';
import { SyscallError, TsbuildError } from '../errors.ts';
import { makeDirectoryAt, makeNodeAt, unlinkAt } from '../sys/entries.ts';
import { setModeAt, setOwnerAt, setTimesAt } from '../sys/metadata.ts';
import { O_PATH, openBeneath } from '../sys/open.ts';
import { isOpaqueAt, isWhiteout, makeWhiteoutAt, setOpaqueAt } from '../sys/overlay-marks.ts';
import { listDirectory, type Stat, statAt } from '../sys/stat.ts';
import { imageXattrsAt, setXattrAt } from '../sys/xattr.ts';
import { type ByteString, display, nameOf, parentOf } from '../tree/byte-string.ts';
import type { FileNode, FileTree } from '../tree/file-tree.ts';
import type { ActiveSnapshot } from './snapshotter.ts';

export interface StubRequest {
  /** Clean, in the root, no link in it. */
  readonly path: ByteString;
  readonly type: 'directory' | 'file';
}

export interface MountStubs {
  /** Takes away what was made and is still as it was made; what the step changed stays. Call it once, after the unmount. */
  remove(): void;
}

interface Made {
  readonly path: ByteString;
  /** As it was made. */
  readonly stat: Stat;
  /** Whether a whiteout was there before. */
  readonly wasDeleted: boolean;
  /** A directory of the image that had to be in the upper directory too. */
  readonly isCopy: boolean;
}

/** What a directory's time was before a stub was made in it, and is after. */
interface Touched {
  readonly path: ByteString;
  readonly beforeNs: bigint;
  afterNs: bigint;
}

const ROOT = '' as ByteString;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const STUB_MODE = { directory: 0o755, file: 0o644 } as const;

/** `tree` is the active tree. Throws RUN_NOT_STARTED where something of the other type is in the way. */
export function makeMountStubs(active: Pick<ActiveSnapshot, 'upperFd'>, tree: FileTree, requests: readonly StubRequest[]): MountStubs {
  const made: Made[] = [];
  const touched = new Map<ByteString, Touched>();
  const state = { upper: active.upperFd, tree, made, touched };
  const stubs = { remove: () => removeStubs(active.upperFd, made, touched) };
  try {
    for (const request of requests) makeStub(state, request);
  } catch (error) {
    stubs.remove();
    throw error;
  }
  return stubs;
}

interface Making {
  readonly upper: number;
  readonly tree: FileTree;
  readonly made: Made[];
  readonly touched: Map<ByteString, Touched>;
}

function makeStub(making: Making, request: StubRequest): void {
  const node = making.tree.stat(request.path);
  if (node !== undefined) {
    const isFit = request.type === 'directory' ? node.type === 'directory' : node.type !== 'directory' && node.type !== 'symlink';
    if (isFit) return;
    throw new TsbuildError('RUN_NOT_STARTED', `Cannot mount at /${display(request.path)}: it is a ${node.type}, and no ${request.type}`);
  }
  makeParents(making, parentOf(request.path));
  const directory = openBeneath(making.upper, parentOf(request.path), OPEN_DIRECTORY);
  try {
    make(making, { dir: directory, path: request.path, type: request.type, node: undefined });
  } finally {
    closeSync(directory);
  }
}

/** From the root down: what the upper directory lacks is copied up where the image has it, and otherwise a stub itself. */
function makeParents(making: Making, path: ByteString): void {
  if (path === '') return;
  makeParents(making, parentOf(path));
  const directory = openBeneath(making.upper, parentOf(path), OPEN_DIRECTORY);
  try {
    const stat = statAt(directory, nameOf(path));
    if (stat?.type === 'directory') return;
    const node = making.tree.stat(path);
    if (node !== undefined && node.type !== 'directory') {
      throw new TsbuildError('RUN_NOT_STARTED', `Cannot mount below /${display(path)}: it is a ${node.type}, and no directory`);
    }
    make(making, { dir: directory, path, type: 'directory', node });
  } finally {
    closeSync(directory);
  }
}

function make(making: Making, entry: { dir: number; path: ByteString; type: 'directory' | 'file'; node: FileNode | undefined }): void {
  const { dir, path, type, node } = entry;
  const name = nameOf(path);
  const parent = parentOf(path);
  const before = statAt(dir, ROOT)?.mtimeNs ?? 0n;
  const old = statAt(dir, name);
  const wasDeleted = old !== undefined && isWhiteout(old);
  if (wasDeleted) unlinkAt(dir, name, 'file');
  if (type === 'directory') makeDirectoryAt(dir, name, STUB_MODE.directory);
  else makeNodeAt(dir, name, { type: 'file', mode: STUB_MODE.file });
  if (type === 'directory' && wasDeleted) setOpaqueAt(dir, name);
  setOwnerAt(dir, name, node?.uid ?? 0, node?.gid ?? 0);
  setModeAt(dir, name, node?.mode ?? STUB_MODE[type]);
  if (node !== undefined) {
    for (const [key, value] of making.tree.xattrs(path)) setXattrAt(dir, name, key, value);
    setTimesAt(dir, name, node.mtimeNs);
  }
  const stat = statAt(dir, name);
  if (stat === undefined) throw new SyscallError('stat', display(path), 'ENOENT');
  making.made.push({ path, stat, wasDeleted, isCopy: node !== undefined });
  if (!making.touched.has(path)) making.touched.set(path, { path, beforeNs: stat.mtimeNs, afterNs: stat.mtimeNs });
  const seen = making.touched.get(parent);
  const afterNs = statAt(dir, ROOT)?.mtimeNs ?? 0n;
  if (seen === undefined) making.touched.set(parent, { path: parent, beforeNs: before, afterNs });
  else seen.afterNs = afterNs;
}

/** From the last made to the first, so that a directory is empty when its turn comes. */
function removeStubs(upper: number, made: readonly Made[], touched: ReadonlyMap<ByteString, Touched>): void {
  // To be told before removing changes them: a time that the step set stays, one that a stub set goes back.
  const times = new Map<ByteString, bigint>();
  for (const { path, beforeNs, afterNs } of touched.values()) {
    const now = timeOf(upper, path);
    if (now !== undefined) times.set(path, now === afterNs ? beforeNs : now);
  }
  for (const stub of made.toReversed()) {
    const time = times.get(stub.path);
    if (stub.stat.type === 'directory' && time !== undefined) setTime(upper, stub.path, time);
    removeStub(upper, stub);
  }
  for (const [path, time] of times) setTime(upper, path, time);
}

function removeStub(upper: number, stub: Made): void {
  const dir = openParent(upper, stub.path);
  if (dir === undefined) return;
  try {
    const name = nameOf(stub.path);
    const stat = statAt(dir, name);
    if (stat === undefined || !isUntouched(dir, name, { stat, stub })) return;
    unlinkAt(dir, name, stat.type === 'directory' ? 'directory' : 'file');
    if (stub.wasDeleted) makeWhiteoutAt(dir, name);
  } finally {
    closeSync(dir);
  }
}

function isUntouched(dir: number, name: ByteString, { stat, stub }: { stat: Stat; stub: Made }): boolean {
  const { stat: old } = stub;
  if (stat.dev !== old.dev || stat.ino !== old.ino || stat.type !== old.type) return false;
  if (stat.mode !== old.mode || stat.uid !== old.uid || stat.gid !== old.gid || stat.mtimeNs !== old.mtimeNs) return false;
  if (stat.type !== 'directory') return stat.size === 0 && stat.nlink === 1 && imageXattrsAt(dir, name).size === 0;
  return isEmpty(dir, name) && (stub.isCopy ? !isOpaqueAt(dir, name) : imageXattrsAt(dir, name).size === 0);
}

function isEmpty(dir: number, name: ByteString): boolean {
  const fd = openBeneath(dir, name, OPEN_DIRECTORY);
  try {
    return listDirectory(fd).length === 0;
  } finally {
    closeSync(fd);
  }
}

function timeOf(upper: number, path: ByteString): bigint | undefined {
  return withDirectory(upper, path, (fd) => statAt(fd, ROOT)?.mtimeNs);
}

function setTime(upper: number, path: ByteString, timeNs: bigint): void {
  withDirectory(upper, path, (fd) => setTimesAt(fd, ROOT, timeNs));
}

function openParent(upper: number, path: ByteString): number | undefined {
  return openIfThere(upper, parentOf(path));
}

/** The step may have removed it, or put something else in its place. */
function openIfThere(upper: number, path: ByteString): number | undefined {
  try {
    return openBeneath(upper, path, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR' || error.errno === 'ELOOP'))
      return undefined;
    throw error;
  }
}

function withDirectory<T>(upper: number, path: ByteString, use: (fd: number) => T): T | undefined {
  const fd = openIfThere(upper, path);
  if (fd === undefined) return undefined;
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
