/** The store of a state directory: blobs, image references, origins, and the lock that keeps garbage collection away from users. */
import { closeSync, constants, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Digest } from '../oci/digest.ts';
import { lockFile, unlockFile, waitForLock } from '../sys/lock.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type ContentStore, openContentStore } from './content-store.ts';
import { type ImageStore, openImageStore } from './image-store.ts';
import { type OriginStore, openOriginStore } from './origin-store.ts';
import { openScratchDirectory, removeDeadScratch } from './scratch-directory.ts';
import { prepareStateDirectory } from './state-directory.ts';

/** Disposing drops unfinished ingests and the lock. */
export interface Store extends AsyncDisposable {
  /** Absolute path of the state directory. */
  readonly root: string;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly origins: OriginStore;
  /**
   * Removes blobs that no image and no digest in `keep` needs, and returns the bytes freed; undefined where another
   * process uses the store. Call it when this process holds nothing that is not yet referenced.
   */
  collect(keep: Iterable<Digest>): Promise<number | undefined>;
}

export interface OpenStoreOptions {
  /** Ends the wait for another process's garbage collection. */
  readonly signal?: AbortSignal;
  /** The clock of new references; `Date.now` by default. */
  readonly now?: () => number;
}

/** Opens the store in `root`, making it where it is not there. Throws STORE_INVALID where the directory is not ours to use. */
export async function openStore(root: string, options: OpenStoreOptions = {}): Promise<Store> {
  const directory = resolve(root);
  prepareStateDirectory(directory);
  const lock = openSync(join(directory, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    await waitForLock(lock, 'shared', options.signal);
    removeDeadScratch(join(directory, 'ingest'));
  } catch (error) {
    closeSync(lock);
    throw error;
  }
  return assembleStore(directory, lock, options);
}

function assembleStore(root: string, lock: number, options: OpenStoreOptions): Store {
  const scratch = openScratchDirectory(join(root, 'ingest'));
  const content = openContentStore(root, scratch);
  const images = openImageStore(root, { scratch, content, now: options.now ?? Date.now });
  let open = true;
  return {
    root,
    content,
    images,
    origins: openOriginStore(root, scratch),
    async collect(keep) {
      // flock(2) converts a lock by dropping it first: a refusal leaves none, so the shared one is taken anew.
      const alone = lockFile(lock, 'exclusive', 'try');
      try {
        return alone ? collectGarbage({ root, content, images, keep }) : undefined;
      } finally {
        unlockFile(lock);
        await waitForLock(lock, 'shared', options.signal);
      }
    },
    async [Symbol.asyncDispose]() {
      if (!open) return;
      open = false;
      try {
        await scratch[Symbol.asyncDispose]();
      } finally {
        closeSync(lock);
      }
    },
  };
}
