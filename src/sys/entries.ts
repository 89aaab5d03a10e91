/** Names in directories: make, link, rename, remove. A name is one component below `dir`; links are never followed. */
import { SyscallError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import type { FileType } from '../tree/file-tree.ts';
import { cString, failure, invoke } from './errno.ts';
import { idScope } from './ids.ts';
import { bind } from './libc.ts';
import { recordDevice } from './recorded-facts.ts';

/** What `makeNodeAt` makes; `major` and `minor` are for devices. */
export interface NodeToMake {
  readonly type: Exclude<FileType, 'directory' | 'symlink'>;
  readonly mode: number;
  readonly major?: number;
  readonly minor?: number;
}

const RENAMEAT2 = process.arch === 'arm64' ? 276 : 316;
const RENAME_NOREPLACE = 1;
const AT_REMOVEDIR = 0x200;
/** The kernel's dev_t is 12 bits of major and 20 of minor; more would be cut off silently. */
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xfffff;
const TYPE_BITS = { file: 0o100000, char: 0o020000, block: 0o060000, fifo: 0o010000, socket: 0o140000 } as const;

const mkdirat = bind('int mkdirat(int dirfd, const uint8_t *path, uint32_t mode)');
const mknodat = bind('int mknodat(int dirfd, const uint8_t *path, uint32_t mode, uint64_t dev)');
const symlinkat = bind('int symlinkat(const uint8_t *target, int dirfd, const uint8_t *path)');
const linkat = bind('int linkat(int fromdir, const uint8_t *from, int todir, const uint8_t *to, int flags)');
const renameat2 = bind('long syscall(long nr, int fromdir, const uint8_t *from, int todir, const uint8_t *to, uint32_t flags)');
const unlinkat = bind('int unlinkat(int dirfd, const uint8_t *path, int flags)');

/** mkdirat(2); `mode` is less the umask: `setModeAt` after it where it must be exact. */
export function makeDirectoryAt(dir: number, name: ByteString, mode: number): void {
  const result = invoke(mkdirat, dir, cString(name), mode);
  if (result < 0) throw failure('make the directory', dir, name, result);
}

/** mknodat(2); `mode` is less the umask. In a user namespace a device is an empty file with a record: recorded-facts.ts. */
export function makeNodeAt(dir: number, name: ByteString, node: NodeToMake): void {
  const { major = 0, minor = 0 } = node;
  if (!(major >= 0 && major <= MAJOR_MAX && minor >= 0 && minor <= MINOR_MAX)) {
    throw new SyscallError('make the node', `${display(name)} (${major}:${minor})`, 'EINVAL');
  }
  if ((node.type === 'char' || node.type === 'block') && idScope() !== 'machine' && !(major === 0 && minor === 0)) {
    makeNodeAt(dir, name, { type: 'file', mode: node.mode });
    recordDevice(dir, name, { type: node.type, major, minor });
    return;
  }
  const device = (major << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12);
  const result = invoke(mknodat, dir, cString(name), TYPE_BITS[node.type] | node.mode, device >>> 0);
  if (result < 0) throw failure(`make the ${node.type}`, dir, name, result);
}

export function symlinkAt(target: ByteString, dir: number, name: ByteString): void {
  const result = invoke(symlinkat, cString(target), dir, cString(name));
  if (result < 0) throw failure('make the link', dir, name, result);
}

/** A hard link; where `from` is a symbolic link, to the link itself. */
export function linkAt(fromDir: number, from: ByteString, toDir: number, to: ByteString): void {
  const result = invoke(linkat, fromDir, cString(from), toDir, cString(to), 0);
  if (result < 0) throw failure(`link ${display(from)} to`, toDir, to, result);
}

/** renameat2(2): replaces what is at `to`, or fails with EEXIST under `noreplace`. */
export function renameAt(fromDir: number, from: ByteString, toDir: number, to: ByteString, flags?: 'noreplace'): void {
  const bits = flags === 'noreplace' ? RENAME_NOREPLACE : 0;
  const result = invoke(renameat2, RENAMEAT2, fromDir, cString(from), toDir, cString(to), bits);
  if (result < 0) throw failure(`rename ${display(from)} to`, toDir, to, result);
}

export function unlinkAt(dir: number, name: ByteString, what: 'file' | 'directory'): void {
  const result = invoke(unlinkat, dir, cString(name), what === 'directory' ? AT_REMOVEDIR : 0);
  if (result < 0) throw failure(`remove the ${what}`, dir, name, result);
}
