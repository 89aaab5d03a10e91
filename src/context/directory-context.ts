/** A directory as a build context: a file tree by descriptors, less what the ignore rules leave out. */
import { closeSync, constants, fstatSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../errors.ts';
import { openAt, openBeneath, openDirectory } from '../sys/open.ts';
import { listDirectory, readLinkAt, type Stat, statAt } from '../sys/stat.ts';
import { type ByteString, display, fromText, join, nameOf, parentOf, toText } from '../tree/byte-string.ts';
import { type FileNode, type FileTree, isEmpty, type Xattrs } from '../tree/file-tree.ts';
import { type IgnoreRules, ignored, mayIncludeInside } from './ignore-file.ts';

export interface DirectoryContext extends FileTree, Disposable {
  /** The line of the ignore file that hides `path`, such as `.dockerignore line 3 ("*.log")`; undefined where none does. */
  why(path: ByteString): string | undefined;
}

/**
 * The files of `dir` as COPY sees them: owned by 0:0, ignored paths and sockets not there. A link is a link: no path
 * leads through one, so none leads out (openat2(2) RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS). An ignored directory is there
 * as long as a later `!` line takes something inside back in. The caller disposes of it.
 * Throws CONTEXT_NOT_FOUND where `dir` is no directory that can be read.
 */
export function openDirectoryContext(dir: string, rules: IgnoreRules | undefined): DirectoryContext {
  return new OpenContext(openRoot(dir), rules ?? NO_RULES);
}

const NO_RULES: IgnoreRules = { file: '', rules: [] };
const NO_XATTRS: Xattrs = new Map();
/** Directories kept open: more than any tree is deep, since a walk comes back to each of its parents. */
const OPEN_MAX = 64;

interface OpenDirectory {
  readonly fd: number;
  /** The name that was listed last, to be used once: a walk stats what it has just listed. */
  listed: { readonly name: ByteString; readonly node: FileNode } | undefined;
}

class OpenContext implements DirectoryContext {
  readonly #root: number;
  readonly #rules: IgnoreRules;
  /** Least recently used first. */
  readonly #open = new Map<ByteString, OpenDirectory>();
  /** The most recently used: a walk stays in a directory for many calls. */
  #latest: { readonly path: ByteString; readonly dir: OpenDirectory } | undefined;
  readonly #includesInside = new Map<ByteString, boolean>();

  constructor(root: number, rules: IgnoreRules) {
    this.#root = root;
    this.#rules = rules;
  }

  stat(path: ByteString): FileNode | undefined {
    if (this.#isIgnored(path) && !this.#includesBelow(path)) return undefined;
    const node = this.#node(path);
    return node?.type === 'socket' ? undefined : node;
  }

  *list(path: ByteString): Generator<ByteString, void, undefined> {
    for (const name of listDirectory(this.#directoryOrThrow(path).fd)) {
      const child = join(path, name);
      if (this.#isIgnored(child) && !this.#includesBelow(child)) continue;
      // Each time: looking elsewhere may have closed it to keep few open.
      const dir = this.#directoryOrThrow(path);
      const node = nodeAt(dir.fd, name);
      if (node === undefined || node.type === 'socket') continue;
      dir.listed = { name, node };
      yield name;
    }
  }

  /** None: they belong to this machine, and a layer must not depend on what its file system can store. */
  xattrs(): Xattrs {
    return NO_XATTRS;
  }

  open(path: ByteString): number {
    const parent = path === '' || this.#isIgnored(path) ? undefined : this.#directory(parentOf(path));
    if (parent === undefined) throw new SyscallError('open', display(path), 'ENOENT');
    // O_NONBLOCK: a fifo put in the file's place must not hang the build.
    const fd = openAt(parent.fd, nameOf(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
    throw new TsbuildError('CONTEXT_CHANGED', `Cannot read "${display(path)}" of the build context: it is no regular file any more`);
  }

  why(path: ByteString): string | undefined {
    const { ignored: isHidden, rule } = ignored(this.#rules, toText(path));
    if (!isHidden || rule === undefined) return undefined;
    return `${this.#rules.file} line ${rule.line} (${JSON.stringify(rule.text.slice(0, 200))})`;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.values()) closeSync(fd);
    this.#open.clear();
    this.#latest = undefined;
    closeSync(this.#root);
  }

  #isIgnored(path: ByteString): boolean {
    return path !== '' && this.#rules.rules.length > 0 && ignored(this.#rules, toText(path)).ignored;
  }

  /** Whether the ignored directory `path` holds something that is taken back in. */
  #includesBelow(path: ByteString): boolean {
    if (!mayIncludeInside(this.#rules, toText(path))) return false;
    const known = this.#includesInside.get(path);
    if (known !== undefined) return known;
    const isDirectory = this.#node(path)?.type === 'directory';
    const found = isDirectory && !isEmpty(this, path);
    this.#includesInside.set(path, found);
    return found;
  }

  #node(path: ByteString): FileNode | undefined {
    if (path === '') return nodeAt(this.#root, path);
    const parent = this.#directory(parentOf(path));
    if (parent === undefined) return undefined;
    const name = nameOf(path);
    const { listed } = parent;
    if (listed?.name !== name) return nodeAt(parent.fd, name);
    parent.listed = undefined;
    return listed.node;
  }

  #directoryOrThrow(path: ByteString): OpenDirectory {
    const dir = this.#directory(path);
    if (dir === undefined) throw new SyscallError('list', display(path), 'ENOTDIR');
    return dir;
  }

  /** undefined where `path` is no directory, or is beyond a link. */
  #directory(path: ByteString): OpenDirectory | undefined {
    if (this.#latest?.path === path) return this.#latest.dir;
    const dir = this.#open.get(path) ?? openListable(this.#root, path);
    if (dir === undefined) return undefined;
    this.#latest = { path, dir };
    this.#open.delete(path);
    this.#open.set(path, dir);
    if (this.#open.size > OPEN_MAX) this.#closeOldest();
    return dir;
  }

  #closeOldest(): void {
    for (const [path, { fd }] of this.#open) {
      this.#open.delete(path);
      closeSync(fd);
      return;
    }
  }
}

function openRoot(dir: string): number {
  try {
    return openDirectory(fromText(dir));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot read the build context ${dir}: ${error.errno}`, {
      hint: 'Name an existing directory as the last argument, such as "tsbuild ." in it.',
      cause: error,
    });
  }
}

function openListable(root: number, path: ByteString): OpenDirectory | undefined {
  try {
    return { fd: openBeneath(root, path, constants.O_RDONLY | constants.O_DIRECTORY), listed: undefined };
  } catch (error) {
    if (error instanceof SyscallError && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.errno)) return undefined;
    throw error;
  }
}

function nodeAt(dir: number, name: ByteString): FileNode | undefined {
  const stat = statAt(dir, name);
  if (stat === undefined) return undefined;
  const { type, mode, mtimeNs, ctimeNs } = stat;
  return {
    ...{ type, mode, uid: 0, gid: 0, size: type === 'file' ? stat.size : 0, mtimeNs, ctimeNs },
    ...(type === 'symlink' ? { linkTarget: readLinkAt(dir, name) } : {}),
    ...(type === 'char' || type === 'block' ? { device: { major: stat.rdevMajor, minor: stat.rdevMinor } } : {}),
    ...(hasManyNames(stat) ? { inode: `${stat.dev}:${stat.ino}` } : {}),
  };
}

function hasManyNames(stat: Stat): boolean {
  return stat.nlink > 1 && stat.type !== 'directory';
}
