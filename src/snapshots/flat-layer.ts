/**
 * The merged files of many layers as one directory: overlayfs takes no more than 500 layers, and older kernels as many as have their names
 * on a page (mount(2)). Files are hard links to those of the layers, which nobody changes, so that it costs names and no content.
 */
import { closeSync, constants } from 'node:fs';
import { linkAt, makeDirectoryAt } from '../sys/entries.ts';
import { syncFileSystem } from '../sys/metadata.ts';
import { O_PATH, openAt } from '../sys/open.ts';
import { type ByteString, join, nameOf } from '../tree/byte-string.ts';
import { describeDirectory } from './describe-directory.ts';
import type { MergedTree } from './merged-tree.ts';

/** Layers that are stacked before they are made one; an image seldom has as many. */
export const LAYERS_MAX = 128;

const ROOT = '' as ByteString;
const OPEN_DIRECTORY = constants.O_DIRECTORY | constants.O_NOFOLLOW | O_PATH;

/** `target` is an empty directory; when it returns, all that it holds is on the disk. */
export function flatten(tree: MergedTree, target: number): void {
  fill(tree, ROOT, target);
  syncFileSystem(target);
}

function fill(tree: MergedTree, path: ByteString, target: number): void {
  for (const name of tree.list(path)) {
    const from = join(path, name);
    if (tree.stat(from)?.type === 'directory') makeLike(tree, from, target);
    else tree.at(from, (directory, source) => linkAt(directory, source, target, name));
  }
  const node = tree.stat(path);
  if (node === undefined) throw new Error('A listed directory is there');
  describeDirectory(target, { node, xattrs: tree.xattrs(path) });
}

function makeLike(tree: MergedTree, from: ByteString, parent: number): void {
  makeDirectoryAt(parent, nameOf(from), 0o700);
  const directory = openAt(parent, nameOf(from), OPEN_DIRECTORY);
  try {
    fill(tree, from, directory);
  } finally {
    closeSync(directory);
  }
}
