/**
 * What is removed leaves its place by a rename, at once, and is deleted afterwards: `trash/<random>/<n>`, where the directory is under
 * flock(2) as long as its process lives. The next command deletes what a killed one left.
 */
import { closeSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD } from '../sys/open.ts';
import { removeTree } from '../sys/remove-tree.ts';
import { fromText } from '../tree/byte-string.ts';
import { isCode } from './error-code.ts';
import { type HeldDirectory, holdDirectory, removeUnheld } from './held-directory.ts';

export interface Trash extends Disposable {
  /** Of the same file system. false where nothing is there. */
  take(path: string): boolean;
  /** Deletes what was taken. */
  empty(): void;
}

/** Disposing empties it. Nothing is made before something is taken. */
export function openTrash(root: string): Trash {
  let held: HeldDirectory | undefined;
  let count = 0;
  const empty = (): void => {
    if (held === undefined) return;
    for (const name of readdirSync(held.path)) removeTree(AT_FDCWD, fromText(join(held.path, name)));
  };
  return {
    take(path) {
      held ??= holdDirectory(join(root, 'trash'));
      try {
        renameSync(path, join(held.path, String(count++)));
        return true;
      } catch (error) {
        if (isCode(error, 'ENOENT')) return false;
        throw error;
      }
    },
    empty,
    [Symbol.dispose]() {
      if (held === undefined) return;
      const { path, fd } = held;
      try {
        empty();
        removeTree(AT_FDCWD, fromText(path));
      } finally {
        held = undefined;
        closeSync(fd);
      }
    },
  };
}

/** Cheap where there is none. */
export function emptyDeadTrash(root: string): void {
  const trash = join(root, 'trash');
  for (const name of readdirSync(trash)) removeUnheld(join(trash, name), (path) => removeTree(AT_FDCWD, fromText(path)));
}
