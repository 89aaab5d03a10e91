/**
 * What each process uses, told to whoever removes things: `leases/<random>`, a file of names under flock(2), which dies with its process.
 * A name is written while the store's lock is shared, and things are removed while it is exclusive: whoever pins a name first and looks
 * then whether it is there finds it gone, or keeps it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { openIfThere, removeIfThere } from '../sys/if-there.ts';
import { insist, lockFile, lockNew, unlockFile } from '../sys/lock.ts';
import { isCode } from './error-code.ts';

/** `image`: all that the manifest or index leads to. `snapshot`: what it stands on, too. */
export type PinKind = 'blob' | 'image' | 'snapshot' | 'download';

/** Names are digests, names of snapshots, and for images `MEDIATYPE DIGEST SIZE`; never text of users. */
export type Pin = (kind: PinKind, name: string) => void;

export interface Lease extends Disposable {
  /** Until it is disposed. A second time costs nothing. */
  readonly pin: Pin;
  /** Of the file; undefined as long as nothing is pinned. */
  readonly name: string | undefined;
}

const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** Of the store in `root`: opened for each purpose anew, since a lock belongs to its descriptor. One that cannot be written to is locked as well. */
export function openLockFile(root: string): number {
  const path = join(root, 'lock');
  try {
    return openSync(path, FLAGS, 0o600);
  } catch (error) {
    if (!isCode(error, 'EROFS')) throw error;
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  }
}

/** `lock`: as `openLockFile` gives it, for this lease alone. */
export function openLease(root: string, lock: number): Lease {
  const pinned = new Set<string>();
  let file: { readonly name: string; readonly fd: number } | undefined;
  /** The disk takes no name: nothing is removed as long as this process lives. */
  let isBlocking = false;
  return {
    get name() {
      return file?.name;
    },
    pin(kind, name) {
      const line = `${kind} ${name}\n`;
      if (isBlocking || pinned.has(line)) return;
      shareLock(lock);
      try {
        file ??= makeLease(root);
        writeSync(file.fd, line);
      } catch (error) {
        if (!isCode(error, 'ENOSPC') && !isCode(error, 'EDQUOT') && !isCode(error, 'EROFS')) throw error;
        isBlocking = true;
      } finally {
        if (!isBlocking) unlockFile(lock);
      }
      pinned.add(line);
    },
    [Symbol.dispose]() {
      if (isBlocking) unlockFile(lock);
      isBlocking = false;
      if (file === undefined) return;
      removeIfThere(join(root, 'leases', file.name));
      closeSync(file.fd);
      file = undefined;
    },
  };
}

/** Waits in place: others hold it for a few calls. */
function shareLock(lock: number): void {
  if (insist(() => lockFile(lock, 'shared') || undefined, { everyMs: 1, patienceMs: 30_000 })) return;
  throw new TsbuildError('STORE_INVALID', 'Cannot use the store: another process has kept its lock for 30 seconds');
}

/** Nobody takes it for a dead one: that is looked for under the exclusive lock. */
function makeLease(root: string): { name: string; fd: number } {
  const directory = join(root, 'leases');
  return lockNew(directory, () => {
    const name = randomBytes(8).toString('hex');
    return { name, fd: openSync(join(directory, name), FLAGS | constants.O_EXCL | constants.O_APPEND, 0o600) };
  });
}

/** What living processes use. */
export interface Pins {
  has(kind: PinKind, name: string): boolean;
  readonly images: readonly Descriptor[];
}

export interface PinReader extends Pins {
  /** Reads what was added, and removes leases of the dead. Only under the exclusive lock. What was once read stays pinned. */
  refresh(): void;
}

/** `except`: the name of the reader's own lease. */
export function openPinReader(root: string, except: () => string | undefined): PinReader {
  const directory = join(root, 'leases');
  const read = new Map<string, number>();
  const lines = new Set<string>();
  const images = new Map<string, Descriptor>();
  return {
    has: (kind, name) => lines.has(`${kind} ${name}`),
    get images() {
      return [...images.values()];
    },
    refresh() {
      for (const name of readdirSync(directory)) {
        if (name === except()) continue;
        const { text, end } = readLease(join(directory, name), read.get(name) ?? 0);
        read.set(name, end);
        for (const line of text.split('\n')) {
          if (line === '') continue;
          lines.add(line);
          const image = imageOf(line);
          if (image !== undefined) images.set(line, image);
        }
      }
    },
  };
}

function readLease(path: string, from: number): { text: string; end: number } {
  const fd = openIfThere(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  // Its process has just ended: then it needs nothing any more.
  if (fd === undefined) return { text: '', end: from };
  try {
    if (lockFile(fd, 'shared')) {
      removeIfThere(path);
      return { text: '', end: from };
    }
    const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - from));
    const length = readSync(fd, bytes, 0, bytes.length, from);
    return { text: bytes.toString('latin1', 0, length), end: from + length };
  } finally {
    closeSync(fd);
  }
}

export function imagePin({ mediaType, digest, size }: Descriptor): [kind: 'image', name: string] {
  return ['image', `${mediaType} ${digest} ${size}`];
}

function imageOf(line: string): Descriptor | undefined {
  const [kind, mediaType = '', digest = '', size] = line.split(' ');
  return kind === 'image' && isDigest(digest) ? { mediaType, digest, size: Number(size) } : undefined;
}
