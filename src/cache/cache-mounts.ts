/**
 * Directories that outlive builds: `RUN --mount=type=cache`. On the disk `cache/mounts/<name>/<slot>/{lock,data}`, and `new`
 * while the directory is made. A lock dies with its process, and `data` is there or it is not: no crash needs repair.
 */
import { chmodSync, chownSync, closeSync, constants, existsSync, mkdirSync, openSync, renameSync } from 'node:fs';
import path from 'node:path';
import { lockFile, waitForLock } from '../sys/lock.ts';
import { AT_FDCWD, openDirectory } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { fromText } from '../tree/byte-string.ts';

/** `shared`: with others that share; `locked`: alone, after waiting; `private`: alone, in a directory that nobody uses. */
export type CacheSharing = 'shared' | 'private' | 'locked';

export interface CacheRequest {
  /** 64 hex digits: ids of users are never file names. */
  readonly name: string;
  readonly sharing: CacheSharing;
  readonly signal: AbortSignal;
  /** Called once when it has waited for a second. */
  onWait(): void;
  /** Fills a new directory, open as `fd`; returns its owner and mode. */
  fill(fd: number): Promise<{ readonly mode: number; readonly uid: number; readonly gid: number }>;
}

/** Held until it is disposed. */
export interface HeldCache extends Disposable {
  /** Absolute. */
  readonly directory: string;
}

const SECOND_MS = 1000;

/** `root` is the state directory. Rejects as `signal` says, or as `fill` does. */
export async function takeCache(root: string, request: CacheRequest): Promise<HeldCache> {
  if (!/^[a-f0-9]{64}$/.test(request.name)) throw new Error(`Not a name of a cache: ${request.name}`);
  for (let slot = 0; ; slot++) {
    const place = path.join(root, 'cache', 'mounts', request.name, String(slot));
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const fd = openSync(path.join(place, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      if (request.sharing !== 'private') await lockOrSay(fd, request);
      else if (!lockFile(fd, 'exclusive')) {
        closeSync(fd);
        continue;
      }
      await makeData(place, fd, request);
      return { directory: path.join(place, 'data'), [Symbol.dispose]: () => closeSync(fd) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

async function lockOrSay(fd: number, { sharing, signal, onWait }: CacheRequest): Promise<void> {
  const timer = setTimeout(onWait, SECOND_MS);
  try {
    await waitForLock(fd, sharing === 'shared' ? 'shared' : 'exclusive', signal);
  } finally {
    clearTimeout(timer);
  }
}

/** One maker at a time: who shares must be alone for it, and then shares again. */
async function makeData(place: string, fd: number, request: CacheRequest): Promise<void> {
  const data = path.join(place, 'data');
  while (!existsSync(data)) {
    if (request.sharing === 'shared') await lockOrSay(fd, { ...request, sharing: 'locked' });
    if (!existsSync(data)) await makeNew(path.join(place, 'new'), data, request);
    // flock(2): a conversion lets go first, so somebody else may be in between; what is there stays.
    if (request.sharing === 'shared') await lockOrSay(fd, request);
  }
}

async function makeNew(directory: string, data: string, { fill }: CacheRequest): Promise<void> {
  if (existsSync(directory)) removeTree(AT_FDCWD, fromText(directory));
  mkdirSync(directory, { mode: 0o700 });
  const fd = openDirectory(fromText(directory));
  try {
    const { mode, uid, gid } = await fill(fd);
    chownSync(directory, uid, gid);
    chmodSync(directory, mode);
  } finally {
    closeSync(fd);
  }
  renameSync(directory, data);
}
