/**
 * Where one process keeps files until they get their final name: `ingest/RANDOM/` on the same file system, held by a
 * flock. A directory that can be locked belongs to nobody that lives, so the next process removes it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lockFile } from '../sys/lock.ts';
import { isCode } from './error-code.ts';
import { makePrivateDirectory } from './state-directory.ts';

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

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const EXCLUSIVE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Makes nothing before the first file is asked for: many commands only read. */
export function openScratchDirectory(ingestDirectory: string): ScratchDirectory {
  let held: { path: string; fd: number } | undefined;
  let count = 0;
  const handles = new Set<FileHandle>();
  return {
    async create() {
      held ??= hold(ingestDirectory);
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
    const fd = openDirectoryIfThere(path);
    if (fd === undefined) {
      rmSync(path, { force: true });
      continue;
    }
    try {
      if (lockFile(fd, 'exclusive', 'try')) removeFlatDirectory(path);
    } finally {
      closeSync(fd);
    }
  }
}

/** Until it is locked a sweep may take the directory at any moment: then another name is tried. */
function hold(ingestDirectory: string): { path: string; fd: number } {
  for (;;) {
    const path = join(ingestDirectory, randomBytes(8).toString('hex'));
    const fd = makeDirectory(path);
    if (fd === undefined) continue;
    if (lockFile(fd, 'exclusive', 'try') && isStillThere(path, fd)) return { path, fd };
    closeSync(fd);
  }
}

/** Open; undefined where it has gone before that. */
function makeDirectory(path: string): number | undefined {
  try {
    makePrivateDirectory(path);
  } catch (error) {
    if (isCode(error, 'ENOENT') && existsSync(dirname(path))) return undefined;
    throw error;
  }
  return openDirectoryIfThere(path);
}

function isStillThere(path: string, fd: number): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
}

function openDirectoryIfThere(path: string): number | undefined {
  try {
    return openSync(path, DIRECTORY);
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return undefined;
    throw error;
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
