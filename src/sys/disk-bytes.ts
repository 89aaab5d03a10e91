/** What a tree of files takes on the disk, as du(1) counts it. */
import { closeSync, constants } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { SyscallError } from '../errors.ts';
import { type ByteString, fromText } from '../tree/byte-string.ts';
import { AT_FDCWD, openAt } from './open.ts';
import { listDirectory, type Stat, statAt } from './stat.ts';

/** Deeper directories are counted, and not what is in them. */
const DEPTH_MAX = 2000;
/** So that a signal is heard, and the clock looked at. */
const ENTRIES_AT_ONCE = 2000;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const GONE = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP']);

interface Walk {
  readonly signal: AbortSignal | undefined;
  readonly dev: bigint;
  /** Inodes with several names. */
  readonly seen: Set<bigint>;
  entries: number;
  bytes: number;
}

/** Blocks of all inodes of one file system, each once; links are not followed. What goes meanwhile does not count; 0 where nothing is. */
export async function diskBytes(path: string, signal?: AbortSignal): Promise<number> {
  const stat = statAt(AT_FDCWD, fromText(path));
  if (stat === undefined) return 0;
  const walk: Walk = { signal, dev: stat.dev, seen: new Set(), entries: 0, bytes: 0 };
  await count(walk, AT_FDCWD, { name: fromText(path), stat, depth: 0 });
  return walk.bytes;
}

async function count(walk: Walk, parent: number, { name, stat, depth }: { name: ByteString; stat: Stat; depth: number }): Promise<void> {
  if (stat.dev !== walk.dev || isCounted(walk, stat)) return;
  walk.bytes += stat.diskBytes;
  if (stat.type !== 'directory' || depth >= DEPTH_MAX) return;
  const fd = openIfThere(parent, name);
  if (fd === undefined) return;
  try {
    for (const child of namesIn(fd)) {
      if (++walk.entries % ENTRIES_AT_ONCE === 0) await breathe(walk);
      const found = statAt(fd, child);
      if (found?.type === 'directory') await count(walk, fd, { name: child, stat: found, depth: depth + 1 });
      else if (found !== undefined && !isCounted(walk, found)) walk.bytes += found.diskBytes;
    }
  } finally {
    closeSync(fd);
  }
}

/** By another name of the same inode. */
function isCounted({ seen }: Walk, { nlink, ino, type }: Stat): boolean {
  if (nlink === 1 || type === 'directory') return false;
  return seen.size === seen.add(ino).size;
}

async function breathe({ signal }: Walk): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}

function openIfThere(parent: number, name: ByteString): number | undefined {
  try {
    return openAt(parent, name, DIRECTORY);
  } catch (error) {
    if (error instanceof SyscallError && GONE.has(error.errno)) return undefined;
    throw error;
  }
}

function namesIn(fd: number): Iterable<ByteString> {
  try {
    return listDirectory(fd);
  } catch (error) {
    if (error instanceof SyscallError && GONE.has(error.errno)) return [];
    throw error;
  }
}
