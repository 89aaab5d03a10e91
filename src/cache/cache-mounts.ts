/**
 * Directories that outlive builds: `RUN --mount=type=cache`. On the disk `cache/mounts/<name>/<slot>/{lock,data}`, `seal` while nobody
 * uses it, and `new` while the directory is made; `id` is what the Dockerfile calls it, and the time of `lock` when it was last taken. A
 * lock dies with its process, `data` is there or it is not, and what has no seal is used as it is: no crash needs repair.
 */
import { chmodSync, chownSync, closeSync, constants, existsSync, futimesSync, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { isStillNamed, lockFile, unlockFile } from '../sys/lock.ts';
import { AT_FDCWD, openDirectory } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { replaceFile } from '../sys/replace-file.ts';
import { fromText } from '../tree/byte-string.ts';
import { alone, type CacheSharing, lockOrSay, type Waiting } from './mount-lock.ts';
import { breakSeal, isAsSealed, isSealed, writeSeal } from './mount-seal.ts';

export interface CacheRequest extends Waiting {
  /** 64 hex digits: ids of users are never file names. */
  readonly name: string;
  /** As the Dockerfile has it. */
  readonly id: string;
  readonly sharing: CacheSharing;
  /** Takes away the directory, an absolute path: its files are not as the last step left them. */
  discard(directory: string): void;
  /** An empty directory is as good as none: there is something to fill it with. */
  readonly refillsEmpty?: boolean | undefined;
  /** Fills a new directory, open as `fd`; returns its owner and mode. */
  fill(fd: number): Promise<{ readonly mode: number; readonly uid: number; readonly gid: number }>;
}

/** Held until it is disposed. */
export interface HeldCache extends AsyncDisposable {
  /** Absolute. */
  readonly directory: string;
}

const ID_CHARACTERS_MAX = 1000;

/** `root` is the state directory. Rejects as `signal` says, or as `fill` does. */
export async function takeCache(root: string, request: CacheRequest): Promise<HeldCache> {
  if (!/^[a-f0-9]{64}$/.test(request.name)) throw new Error(`Not a name of a cache: ${request.name}`);
  for (let slot = 0; ; slot++) {
    const place = path.join(root, 'cache', 'mounts', request.name, String(slot));
    const fd = openSlot(place);
    try {
      if (request.sharing !== 'private') await lockOrSay(fd, request.sharing, request);
      else if (!lockFile(fd, 'exclusive')) {
        closeSync(fd);
        continue;
      }
      if (!(await isMade(place, fd, request))) {
        closeSync(fd);
        slot--;
        continue;
      }
      return { directory: path.join(place, 'data'), [Symbol.asyncDispose]: async () => await release(place, fd, request) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

/** The last of its users seals it. Whoever is interrupted has no time for that. */
async function release(directory: string, lockFd: number, { signal }: CacheRequest): Promise<void> {
  try {
    const isLast = !signal.aborted && lockFile(lockFd, 'exclusive') && isStillNamed(lockFd, path.join(directory, 'lock'));
    if (isLast) await writeSeal({ directory, lockFd });
  } finally {
    // A step that is being started has a copy of the descriptor until it executes its command.
    unlockFile(lockFd);
    closeSync(lockFd);
  }
}

/** false where a collection took the slot away, before or while its lock was converted: then there is a new one. */
async function isMade(place: string, fd: number, request: CacheRequest): Promise<boolean> {
  const lock = path.join(place, 'lock');
  if (!isStillNamed(fd, lock)) return false;
  await makeReady(place, fd, request);
  futimesSync(fd, Date.now() / 1000, Date.now() / 1000);
  return isStillNamed(fd, lock);
}

function openSlot(place: string): number {
  try {
    mkdirSync(place, { recursive: true, mode: 0o700 });
    return openSync(path.join(place, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return openSlot(place);
    throw error;
  }
}

/** For those who ask what takes the space; the first who takes it says it, alone. */
function tell(place: string, id: string): void {
  const file = path.join(place, 'id');
  if (existsSync(file)) return;
  replaceFile(file, id.slice(0, ID_CHARACTERS_MAX));
}

/** The directory of a cache that is there, alone; undefined where it is not. Rejects as `signal` says. */
export async function holdCache(
  root: string,
  name: string,
  waiting: Pick<CacheRequest, 'discard'> & Waiting,
): Promise<(Disposable & Pick<HeldCache, 'directory'>) | undefined> {
  if (!/^[a-f0-9]{64}$/.test(name)) throw new Error(`Not a name of a cache: ${name}`);
  const place = path.join(root, 'cache', 'mounts', name, '0');
  if (!existsSync(path.join(place, 'data'))) return undefined;
  const fd = openSync(path.join(place, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    await lockOrSay(fd, 'locked', waiting);
    // It is read, and stays sealed.
    if (!(await isAsSealed({ directory: place, lockFd: fd }))) {
      waiting.discard(path.join(place, 'data'));
      closeSync(fd);
      return undefined;
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { directory: path.join(place, 'data'), [Symbol.dispose]: () => closeSync(fd) };
}

/** One at a time compares the seal, takes it away and makes what is not there: who shares must be alone for it, and then shares again. */
async function makeReady(place: string, fd: number, request: CacheRequest): Promise<void> {
  const data = path.join(place, 'data');
  const isReady = (): boolean => !isSealed(place) && !isWanting(data, request);
  for (let isDone = false; !isDone && !isReady(); ) {
    isDone = await alone(fd, { ...request, isNeedless: isReady }, async () => {
      // flock(2): a conversion lets go first, so a collection may have been in between.
      if (!isStillNamed(fd, path.join(place, 'lock'))) return;
      if (!(await isAsSealed({ directory: place, lockFd: fd }))) request.discard(data);
      breakSeal(place);
      tell(place, request.id);
      if (isWanting(data, request)) await makeNew(path.join(place, 'new'), data, request);
    });
    // Somebody else may have been in between here, too: what is there stays.
    if (request.sharing === 'shared') await lockOrSay(fd, request.sharing, request);
  }
}

function isWanting(data: string, { refillsEmpty = false }: CacheRequest): boolean {
  return !existsSync(data) || (refillsEmpty && readdirSync(data).length === 0);
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
  // Over an empty directory, too: rename(2).
  renameSync(directory, data);
}
