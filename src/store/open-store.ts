/** The store of a state directory: blobs, image references, origins, and what keeps them while somebody uses them. */
import { closeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SyscallError, TsbuildError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { lockFile, unlockFile } from '../sys/lock.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type ContentStore, openContentStore } from './content-store.ts';
import { isCode } from './error-code.ts';
import { type ImageStore, openImageStore } from './image-store.ts';
import { openLease, openLockFile, type Pin } from './leases.ts';
import { type OriginStore, openOriginStore } from './origin-store.ts';
import { openRemovalTurns, type RemovalTurns } from './removal-turns.ts';
import { openScratchDirectory, removeDeadScratch } from './scratch-directory.ts';
import { prepareStateDirectory } from './state-directory.ts';
import { emptyDeadTrash, openTrash } from './trash.ts';
import { startWritingThread, type WritingThread } from './writing-thread.ts';

/** Disposing drops unfinished ingests, and lets go of what was pinned. */
export interface Store extends AsyncDisposable {
  /** Absolute path of the state directory. */
  readonly root: string;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly origins: OriginStore;
  /** Large blobs are on their way: what writes them starts while they are asked for. */
  expectLarge(): void;
  /** Keeps what has this name from being removed, as long as the store is open. Look after that whether it is there. */
  readonly pin: Pin;
  /** The same blobs and references for those who look at all of them: nothing is pinned. */
  readonly unpinned: { readonly content: ContentStore; readonly images: ImageStore };
  /** For removing things while others use the store; pins of this one do not count. */
  removalTurns(): RemovalTurns & Disposable;
  /** Removes blobs that no image, no other process and no digest in `keep` needs, and returns the bytes freed. */
  collect(keep: Iterable<Digest>): Promise<number>;
}

export interface OpenStoreOptions {
  /** Ends the wait for a turn to remove something. */
  readonly signal?: AbortSignal;
  /** The clock of new references; `Date.now` by default. */
  readonly now?: () => number;
}

/** Opens the store in `root`, making it where it is not there. Throws STORE_INVALID where the directory is not ours to use. */
export async function openStore(root: string, options: OpenStoreOptions = {}): Promise<Store> {
  const directory = resolve(root);
  prepareStateDirectory(directory);
  const lock = openLockFile(directory);
  try {
    checkLocks(directory, lock);
    sweep(() => removeDeadScratch(join(directory, 'ingest')));
    sweep(() => emptyDeadTrash(directory));
  } catch (error) {
    closeSync(lock);
    throw error;
  }
  return assembleStore(directory, lock, options);
}

function assembleStore(root: string, lock: number, options: OpenStoreOptions): Store {
  const { signal, now = Date.now } = options;
  const scratch = openScratchDirectory(join(root, 'ingest'));
  const lease = openLease(root, lock);
  const { pin } = lease;
  let thread: WritingThread | undefined;
  const writer = (): WritingThread => {
    thread ??= startWritingThread();
    return thread;
  };
  const content = openContentStore(root, scratch, writer, pin);
  const bare = openContentStore(root, scratch, writer);
  const unpinned = { content: bare, images: openImageStore(root, { scratch, content: bare, now }) };
  const removalTurns = (): RemovalTurns & Disposable => {
    const alone = openLockFile(root);
    const turns = openRemovalTurns({ root, lock: alone, own: () => lease.name, signal });
    return { ...turns, [Symbol.dispose]: () => closeSync(alone) };
  };
  let open = true;
  return {
    ...{ root, content, pin, unpinned, removalTurns },
    expectLarge() {
      try {
        writer();
      } catch {
        // Where the machine gives no thread now, a large blob asks for one again.
      }
    },
    images: openImageStore(root, { scratch, content, now, pin }),
    origins: openOriginStore(root, scratch),
    async collect(keep) {
      using turns = removalTurns();
      using trash = openTrash(root);
      return await collectGarbage({ root, ...unpinned, turns, trash, keep });
    },
    async [Symbol.asyncDispose]() {
      if (!open) return;
      open = false;
      try {
        await thread?.close();
        await scratch[Symbol.asyncDispose]();
      } finally {
        lease[Symbol.dispose]();
        closeSync(lock);
      }
    },
  };
}

/** What dead processes left on a disk that is read-only now stays there, and harms nobody. */
function sweep(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isCode(error, 'EROFS') && !(error instanceof SyscallError && error.errno === 'EROFS')) throw error;
  }
}

/** Everything that several processes do at once stands on flock(2): where there is none, nothing is done. */
function checkLocks(root: string, lock: number): void {
  try {
    if (lockFile(lock, 'shared')) unlockFile(lock);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new TsbuildError(
      'STORE_INVALID',
      `Cannot use the state directory ${root}: its file system has no locks (flock: ${cause.errno})`,
      {
        hint: 'Name a directory on a local disk with --root.',
        cause,
      },
    );
  }
}
