/** What is at a name: statx(2), readlinkat(2), getdents64(2). Nothing here follows a link at the end of a name. */
import { type ByteString, fromBuffer } from '../tree/byte-string.ts';
import type { FileType } from '../tree/file-tree.ts';
import { cString, failure, invoke } from './errno.ts';
import { bind } from './libc.ts';
import { NameSorter, type SortedNames } from './sorted-names.ts';

/** All of it exact. `mode` is the permission bits (0 to 0o7777), `size` in bytes. */
export interface Stat {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Bytes on the disk. */
  readonly diskBytes: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly nlink: number;
  readonly dev: bigint;
  readonly ino: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Immutable or append-only, as chattr(1) makes files. */
  readonly isFixed: boolean;
}

const IS_ARM64 = process.arch === 'arm64';
const STATX = IS_ARM64 ? 291 : 332;
const GETDENTS64 = IS_ARM64 ? 61 : 217;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
/** STATX_ATTR_IMMUTABLE and STATX_ATTR_APPEND. */
const STATX_ATTR_FIXED = 0x30;
const ENOENT = 2;
const ENOTDIR = 20;
const LINK_BYTES_MAX = 4096;
const TYPES = new Map<number, FileType>([
  [0o10, 'file'],
  [0o04, 'directory'],
  [0o12, 'symlink'],
  [0o02, 'char'],
  [0o06, 'block'],
  [0o01, 'fifo'],
  [0o14, 'socket'],
]);

const statx = bind('long syscall(long nr, int dirfd, const uint8_t *path, int flags, uint32_t mask, uint8_t *buffer)');
const readlinkat = bind('long readlinkat(int dirfd, const uint8_t *path, uint8_t *buffer, size_t size)');
const getdents64 = bind('long syscall(long nr, int fd, uint8_t *entries, size_t size)');
const lseek = bind('int64_t lseek(int fd, int64_t offset, int whence)');

/** Out-parameters; calls are synchronous and read them before the next one. */
const statBuffer = Buffer.alloc(256);
const statView = new DataView(statBuffer.buffer, statBuffer.byteOffset, 256);
const statWords = new BigUint64Array(statBuffer.buffer, statBuffer.byteOffset, 32);
let entriesBuffer: Buffer | undefined;

/** The facts of `name`, undefined where nothing is; '' is the descriptor itself. */
export function statAt(dir: number, name: ByteString): Stat | undefined {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name === '' ? AT_EMPTY_PATH : 0);
  const result = invoke(statx, STATX, dir, cString(name), flags, STATX_BASIC_STATS, statBuffer);
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  if (result < 0) throw failure('stat', dir, name, result);
  return readStatx(statView);
}

/** The 64-bit words of struct statx as the kernel wrote them, until the next call. */
export function statWordsAt(dir: number, name: ByteString): BigUint64Array {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name === '' ? AT_EMPTY_PATH : 0);
  const result = invoke(statx, STATX, dir, cString(name), flags, STATX_BASIC_STATS, statBuffer);
  if (result < 0) throw failure('stat', dir, name, result);
  return statWords;
}

/** When the inode was made, in nanoseconds: with its number, what tells it from all others. 0 where the file system does not know. */
export function birthTimeAt(dir: number, name: ByteString): bigint {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name === '' ? AT_EMPTY_PATH : 0);
  const result = invoke(statx, STATX, dir, cString(name), flags, STATX_BTIME, statBuffer);
  if (result < 0) throw failure('stat', dir, name, result);
  if ((statView.getUint32(0, true) & STATX_BTIME) === 0) return 0n;
  return statView.getBigInt64(80, true) * 1_000_000_000n + BigInt(statView.getUint32(88, true));
}

/** The target of a symbolic link, as stored; '' is the link that `dir` was opened on with O_PATH. */
export function readLinkAt(dir: number, name: ByteString): ByteString {
  const buffer = Buffer.alloc(LINK_BYTES_MAX);
  const result = invoke(readlinkat, dir, cString(name), buffer, buffer.length);
  if (result < 0) throw failure('read the link', dir, name, result);
  return fromBuffer(buffer.subarray(0, result));
}

/** A name in a directory; `type` is undefined where the file system does not say without a stat. */
export interface DirectoryEntry {
  readonly name: ByteString;
  readonly type: FileType | undefined;
}

/** Names in a directory (opened for reading, not by O_PATH) in byte order, without `.` and `..`. */
export function listDirectory(fd: number): SortedNames {
  const names = new NameSorter();
  readEntries(fd, (name) => names.add(name));
  return names.sorted();
}

/** Names and types in no particular order: `listDirectory` where types save a stat. */
export function listEntries(fd: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  readEntries(fd, (name, type) => entries.push({ name, type: TYPES.get(type) }));
  return entries;
}

/** struct linux_dirent64: u64 inode, i64 offset, u16 record length, u8 type (as in a mode), name with NUL. */
function readEntries(fd: number, onEntry: (name: ByteString, type: number) => void): void {
  entriesBuffer ??= Buffer.alloc(1 << 18);
  const buffer = entriesBuffer;
  const rewound = invoke(lseek, fd, 0, 0);
  if (rewound < 0) throw failure('list', fd, '' as ByteString, rewound);
  for (;;) {
    const length = invoke(getdents64, GETDENTS64, fd, buffer, buffer.length);
    if (length < 0) throw failure('list', fd, '' as ByteString, length);
    if (length === 0) return;
    for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
      const name = buffer.toString('latin1', at + 19, buffer.indexOf(0, at + 19)) as ByteString;
      if (name !== '.' && name !== '..') onEntry(name, buffer.readUInt8(at + 18));
    }
  }
}

/** struct statx, offsets as in linux/stat.h. */
function readStatx(view: DataView): Stat {
  const mode = view.getUint16(28, true);
  const [devMajor, devMinor] = [view.getUint32(136, true), view.getUint32(140, true)];
  const type = TYPES.get(mode >> 12);
  if (type === undefined) throw new Error(`Unknown file type in mode ${mode.toString(8)}`);
  return {
    type,
    mode: mode & 0o7777,
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    size: view.getUint32(44, true) * 2 ** 32 + view.getUint32(40, true),
    diskBytes: (view.getUint32(52, true) * 2 ** 32 + view.getUint32(48, true)) * 512,
    mtimeNs: view.getBigInt64(112, true) * 1_000_000_000n + BigInt(view.getUint32(120, true)),
    ctimeNs: view.getBigInt64(96, true) * 1_000_000_000n + BigInt(view.getUint32(104, true)),
    nlink: view.getUint32(16, true),
    dev: deviceNumber(devMajor, devMinor),
    ino: view.getBigUint64(32, true),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    isFixed: (view.getUint32(8, true) & STATX_ATTR_FIXED) !== 0,
  };
}

let lastDevice = { major: 0, minor: 0, number: 0n };

/** Most files of a walk are on one device. */
function deviceNumber(major: number, minor: number): bigint {
  if (lastDevice.major !== major || lastDevice.minor !== minor) {
    lastDevice = { major, minor, number: (BigInt(major) << 32n) | BigInt(minor) };
  }
  return lastDevice.number;
}
