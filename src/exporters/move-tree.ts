/** What lies in one directory, into another one by renames: files in the way are replaced, directories are merged. */
import { closeSync, constants } from 'node:fs';
import { renameAt } from '../sys/entries.ts';
import { setModeAt, setOwnerAt, setTimesAt } from '../sys/metadata.ts';
import { openAt } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { listDirectory, type Stat, statAt } from '../sys/stat.ts';
import { imageXattrsAt, setXattrAt } from '../sys/xattr.ts';
import type { ByteString } from '../tree/byte-string.ts';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const ROOT = '' as ByteString;

export interface MoveOptions {
  /** `delete`: what only the target has is removed, but for the name `keep` in its top directory. */
  readonly mode: 'copy' | 'delete';
  readonly keep?: ByteString;
}

/** Both are on one file system. No name is followed: a link in the way is replaced, as any file is. */
export function moveTree(from: number, to: number, { mode, keep }: MoveOptions): void {
  const names = listDirectory(from);
  for (const name of names) moveEntry(from, to, { name, mode });
  if (mode === 'copy') return;
  const moved = new Set(names);
  for (const name of listDirectory(to)) if (!moved.has(name) && name !== keep) removeTree(to, name);
}

function moveEntry(from: number, to: number, { name, mode }: { name: ByteString; mode: MoveOptions['mode'] }): void {
  const stat = statAt(from, name);
  const there = statAt(to, name);
  if (stat?.type === 'directory' && there?.type === 'directory') {
    mergeDirectory(from, to, { name, mode, stat });
    return;
  }
  if (there !== undefined && (stat?.type === 'directory' || there.type === 'directory')) removeTree(to, name);
  renameAt(from, name, to, name);
}

function mergeDirectory(from: number, to: number, entry: { name: ByteString; mode: MoveOptions['mode']; stat: Stat }): void {
  const below = openAt(from, entry.name, OPEN_DIRECTORY);
  try {
    const target = openAt(to, entry.name, OPEN_DIRECTORY);
    try {
      moveTree(below, target, { mode: entry.mode });
      const { uid, gid, mode, mtimeNs } = entry.stat;
      setOwnerAt(target, ROOT, uid, gid);
      setModeAt(target, ROOT, mode);
      for (const [key, value] of imageXattrsAt(below, ROOT)) setXattrAt(target, ROOT, key, value);
      setTimesAt(target, ROOT, mtimeNs);
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(below);
  }
}
