/**
 * The merged view of a stack of overlay layers without a mount: whiteouts and opaque directories as the kernel applies them
 * (Documentation/filesystems/overlayfs.rst).
 */
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { fileNodeAt } from '../sys/file-node.ts';
import { O_PATH, openBeneath } from '../sys/open.ts';
import { isOpaqueAt, isWhiteout } from '../sys/overlay-marks.ts';
import { listEntries, type Stat, statAt } from '../sys/stat.ts';
import { imageXattrsAt } from '../sys/xattr.ts';
import { type ByteString, display, nameOf, parentOf } from '../tree/byte-string.ts';
import type { FileNode, FileTree } from '../tree/file-tree.ts';

export interface MergedTreeOptions {
  /** Descriptors of the layers' root directories, the top one first. The tree closes them. */
  readonly layers: readonly number[];
  /** Whether the top layer may change while the tree is in use; the others must not. */
  readonly top: 'fixed' | 'changing';
  /** Closed with the tree: what keeps the layers from being removed. */
  readonly hold?: Disposable;
}

interface Found {
  readonly layer: number;
  readonly stat: Stat;
}

/** Longer paths than a system call takes are walked in parts. */
const PATH_BYTES_MAX = 3000;
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY;
const ROOT = '' as ByteString;

/** The root is the top layer's. Without layers, the tree is an empty directory 0755 0:0. */
export function openMergedTree(options: MergedTreeOptions): MergedTree {
  return new MergedTreeOfLayers(options);
}

export interface MergedTree extends FileTree, Disposable {
  /** Calls with the directory and the name of what is shown at `path`, in the layer that has it. Throws where nothing is. */
  at(path: ByteString, use: (directory: number, name: ByteString) => void): void;
}

class MergedTreeOfLayers implements MergedTree {
  private readonly options: MergedTreeOptions;
  /** Of each directory that was looked into: the fixed layers that make it up, the top one first; none where it is no directory. */
  private readonly stacks = new Map<ByteString, readonly number[]>();
  private isClosed = false;

  constructor(options: MergedTreeOptions) {
    this.options = options;
  }

  stat(path: ByteString): FileNode | undefined {
    const found = this.find(path);
    if (found === undefined) return path === '' ? EMPTY_ROOT : undefined;
    return withPlace(found.layer, path, (dir, name) => fileNodeAt(dir, name, found.stat));
  }

  list(path: ByteString): ByteString[] {
    if (path === '' && this.options.layers.length === 0) return [];
    const stack = this.stackOf(path);
    if (stack === undefined) throw new SyscallError('list', display(path), 'ENOTDIR');
    const shown = new Set<ByteString>();
    const hidden = new Set<ByteString>();
    for (const layer of stack) {
      for (const name of namesIn(layer, path, hidden)) if (!hidden.has(name)) shown.add(name);
    }
    return [...shown].sort();
  }

  xattrs(path: ByteString): Map<string, Buffer> {
    const found = this.find(path);
    if (found === undefined) return new Map();
    return withPlace(found.layer, path, imageXattrsAt);
  }

  open(path: ByteString): number {
    const found = this.find(path);
    if (found?.stat.type !== 'file') throw new SyscallError('open', display(path), found === undefined ? 'ENOENT' : 'EINVAL');
    return openBeneath(found.layer, path, OPEN_FILE);
  }

  at(path: ByteString, use: (directory: number, name: ByteString) => void): void {
    const found = this.find(path);
    if (found === undefined) throw new SyscallError('find', display(path), 'ENOENT');
    withPlace(found.layer, path, use);
  }

  [Symbol.dispose](): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const layer of this.options.layers) closeSync(layer);
    this.options.hold?.[Symbol.dispose]();
  }

  /** The uppermost layer that has the name, unless it was deleted there. */
  private find(path: ByteString): Found | undefined {
    const stack = path === '' ? this.options.layers : this.stackOf(parentOf(path));
    if (stack === undefined) return undefined;
    for (const layer of stack) {
      const stat = statIn(layer, path);
      if (stat !== undefined) return isWhiteout(stat) ? undefined : { layer, stat };
    }
    return undefined;
  }

  /** Undefined where the path is no directory. Of a changing top layer nothing is remembered, of those below it everything. */
  private stackOf(path: ByteString): readonly number[] | undefined {
    const { layers, top } = this.options;
    if (top === 'fixed') {
      const known = this.stacks.get(path);
      if (known !== undefined) return known.length === 0 ? undefined : known;
    }
    const above = path === '' ? layers : this.stackOf(parentOf(path));
    if (above === undefined) return undefined;
    const changing = top === 'changing' && above[0] === layers[0] ? 1 : 0;
    const own = stackBelow(above.slice(0, changing), path);
    const stack = own.hidesRest ? own.stack : [...own.stack, ...this.fixedStack(above.slice(changing), path)];
    return stack.length === 0 ? undefined : stack;
  }

  /** `above` is empty, or what the fixed layers have at the directory above: so the path alone decides. */
  private fixedStack(above: readonly number[], path: ByteString): readonly number[] {
    if (above.length === 0) return above;
    const known = this.stacks.get(path);
    if (known !== undefined) return known;
    const { stack } = stackBelow(above, path);
    this.stacks.set(path, stack);
    return stack;
  }
}

const EMPTY_ROOT: FileNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };

/** Layers are merged from the top until one has something else there, or hides what is below it. */
function stackBelow(above: readonly number[], path: ByteString): { stack: readonly number[]; hidesRest: boolean } {
  const stack: number[] = [];
  for (const layer of above) {
    const stat = statIn(layer, path);
    if (stat === undefined) continue;
    if (stat.type !== 'directory') return { stack, hidesRest: true };
    stack.push(layer);
    if (withPlace(layer, path, isOpaqueAt)) return { stack, hidesRest: true };
  }
  return { stack, hidesRest: false };
}

/** Names to show; those of whiteouts go to `hidden`, and everything seen hides its like in lower layers all the same. */
function namesIn(layer: number, path: ByteString, hidden: Set<ByteString>): ByteString[] {
  const fd = openBeneath(layer, path, OPEN_DIRECTORY);
  try {
    const names: ByteString[] = [];
    const deleted: ByteString[] = [];
    for (const { name, type } of listEntries(fd)) {
      const stat = type === 'char' || type === 'socket' || type === undefined ? statAt(fd, name) : undefined;
      (stat !== undefined && isWhiteout(stat) ? deleted : names).push(name);
    }
    const visible = names.filter((name) => !hidden.has(name));
    for (const name of deleted) hidden.add(name);
    return visible;
  } finally {
    closeSync(fd);
  }
}

function statIn(layer: number, path: ByteString): Stat | undefined {
  if (path.length <= PATH_BYTES_MAX) return statAt(layer, path);
  try {
    return withPlace(layer, path, statAt);
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Calls with a directory and a name in it. All but the last component are known to be directories and no links. */
function withPlace<T>(layer: number, path: ByteString, use: (dir: number, name: ByteString) => T): T {
  if (path.length <= PATH_BYTES_MAX) return use(layer, path);
  const dir = openBeneath(layer, parentOf(path), O_PATH | constants.O_DIRECTORY);
  try {
    return use(dir, path === '' ? ROOT : nameOf(path));
  } finally {
    closeSync(dir);
  }
}
