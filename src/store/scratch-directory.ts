/**
 * Where one process keeps files until they get their final name: `ingest/RANDOM/` on the same file system, held by a
 * flock. A directory that can be locked belongs to nobody that lives, so the next process removes it.
 */
import { closeSync, constants, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from './error-code.ts';
import { type HeldDirectory, holdDirectory, removeUnheld } from './held-directory.ts';

export interface ScratchFile {
  readonly path: string;
  /** Open for reading and writing. */
  readonly handle: FileHandle;
  /** Closes the handle; a second time is harmless. The caller renames or removes the file. */
  close(): Promise<void>;
}

/** Disposing closes the files that are still open, and removes the directory and whatever was left in it. */
export interface ScratchDirectory extends AsyncDisposable {
  create(): Promise<ScratchFile>;
}

const EXCLUSIVE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Makes nothing before the first file is asked for: many commands only read. */
export function openScratchDirectory(ingestDirectory: string): ScratchDirectory {
  let held: HeldDirectory | undefined;
  let count = 0;
  const handles = new Set<FileHandle>();
  return {
    async create() {
      held ??= holdDirectory(ingestDirectory);
      const path = join(held.path, String(count++));
      const handle = await open(path, EXCLUSIVE, 0o600);
      handles.add(handle);
      await handle.chmod(0o600);
      return {
        path,
        handle,
        async close() {
          handles.delete(handle);
          await handle.close();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      if (held === undefined) return;
      await Promise.all([...handles].map((handle) => handle.close()));
      rmSync(held.path, { recursive: true, force: true });
      closeSync(held.fd);
      held = undefined;
    },
  };
}

/** Removes what dead processes left, and files that never were ours. */
export function removeDeadScratch(ingestDirectory: string): void {
  for (const name of readdirSync(ingestDirectory)) {
    const path = join(ingestDirectory, name);
    if (!removeUnheld(path, removeFlatDirectory)) rmSync(path, { force: true });
  }
}

/**
 * The owner cannot be here: it never got the lock. Another sweeper may have been: who opens the directory before that one is done
 * locks a directory without a name.
 */
function removeFlatDirectory(path: string): void {
  try {
    for (const name of readdirSync(path)) rmSync(join(path, name), { force: true });
    rmdirSync(path);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}
