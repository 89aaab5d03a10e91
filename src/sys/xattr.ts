/**
 * Extended attributes (xattr(7)) of one name, never following a link: l*xattr on /proc/self/fd/<dir>/<name>, since the
 * *xattrat calls are new (Linux 6.13); listing, which is done once per file, uses its one where the kernel has it.
 * '' as the name is the descriptor itself.
 */
import { type ByteString, toBuffer } from '../tree/byte-string.ts';
import { cString, failure, invoke } from './errno.ts';
import { bind } from './libc.ts';

/** The same on x86-64 and arm64. */
const LISTXATTRAT = 465;
const AT_SYMLINK_NOFOLLOW = 0x100;
const EPERM = 1;
const ENOSYS = 38;
const ENODATA = 61;
const ERANGE = 34;
const ENOTSUP = 95;

const lsetxattr = bind('int lsetxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)');
const setxattr = bind('int setxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)');
const lgetxattr = bind('long lgetxattr(const uint8_t *path, const uint8_t *name, uint8_t *value, size_t size)');
const getxattr = bind('long getxattr(const uint8_t *path, const uint8_t *name, uint8_t *value, size_t size)');
const listxattrat = bind('long syscall(long nr, int dirfd, const uint8_t *path, uint32_t flags, uint8_t *list, size_t size)');
const llistxattr = bind('long llistxattr(const uint8_t *path, uint8_t *list, size_t size)');
const listxattr = bind('long listxattr(const uint8_t *path, uint8_t *list, size_t size)');
const lremovexattr = bind('int lremovexattr(const uint8_t *path, const uint8_t *name)');
const removexattr = bind('int removexattr(const uint8_t *path, const uint8_t *name)');

/** A value or a list of names is at most 64 KiB (xattr(7)). */
let buffer: Buffer | undefined;
let hasListxattrat = true;

export function setXattrAt(dir: number, name: ByteString, key: string, value: Buffer): void {
  const result = invoke(name === '' ? setxattr : lsetxattr, procPath(dir, name), cString(key as ByteString), value, value.length, 0);
  if (result < 0) throw failure(`set the attribute ${key} of`, dir, name, result);
}

/** One attribute's value; undefined where it is not set or the file system has none. */
export function getXattrAt(dir: number, name: ByteString, key: string): Buffer | undefined {
  return read(dir, name, key);
}

/** Every attribute the caller may see. A key is a byte string like a file name. */
export function listXattrsAt(dir: number, name: ByteString): Map<string, Buffer> {
  buffer ??= Buffer.alloc(1 << 16);
  const result = listNames(dir, name, buffer);
  const found = new Map<string, Buffer>();
  if (result === -ENOTSUP || result === 0) return found;
  if (result < 0) throw failure('list the attributes of', dir, name, result);
  const keys = buffer
    .toString('latin1', 0, result - 1)
    .split('\0')
    .sort();
  for (const key of keys) {
    const value = read(dir, name, key);
    if (value !== undefined) found.set(key, value);
  }
  return found;
}

/** Fine where it was not set. */
export function removeXattrAt(dir: number, name: ByteString, key: string): void {
  const result = invoke(name === '' ? removexattr : lremovexattr, procPath(dir, name), cString(key as ByteString));
  if (result < 0 && result !== -ENODATA) throw failure(`remove the attribute ${key} of`, dir, name, result);
}

/**
 * True of the attributes that belong in an image: file capabilities, ACLs and `user.*`. Overlay's own would let a layer
 * redirect a directory, our own (`user.tsbuild.*`) say what a file stands for, and labels and signatures (`security.selinux`, `security.ima`) belong to the machine.
 */
export function isImageXattr(key: string): boolean {
  if (key.startsWith('user.')) return !key.startsWith('user.overlay.') && !key.startsWith('user.tsbuild.');
  return key === 'security.capability' || key === 'system.posix_acl_access' || key === 'system.posix_acl_default';
}

/** `listXattrsAt` less what does not belong in an image. */
export function imageXattrsAt(dir: number, name: ByteString): Map<string, Buffer> {
  const all = listXattrsAt(dir, name);
  for (const key of all.keys()) if (!isImageXattr(key)) all.delete(key);
  return all;
}

function listNames(dir: number, name: ByteString, into: Buffer): number {
  if (hasListxattrat && name !== '') {
    const result = invoke(listxattrat, LISTXATTRAT, dir, cString(name), AT_SYMLINK_NOFOLLOW, into, into.length);
    // EPERM: a system call filter that does not know it. No file refuses to be listed that way.
    if (result !== -ENOSYS && result !== -EPERM) return result;
    hasListxattrat = false;
  }
  return invoke(name === '' ? listxattr : llistxattr, procPath(dir, name), into, into.length);
}

function read(dir: number, name: ByteString, key: string): Buffer | undefined {
  buffer ??= Buffer.alloc(1 << 16);
  const result = invoke(name === '' ? getxattr : lgetxattr, procPath(dir, name), cString(key as ByteString), buffer, buffer.length);
  if (result === -ENODATA || result === -ENOTSUP) return undefined;
  if (result === -ERANGE || result < 0) throw failure(`read the attribute ${key} of`, dir, name, result);
  return Buffer.from(buffer.subarray(0, result));
}

function procPath(dir: number, name: ByteString): Buffer {
  if (name === '') return toBuffer(`/proc/self/fd/${dir}\0` as ByteString);
  if (dir < 0 || name.startsWith('/')) return cString(name);
  return cString(`/proc/self/fd/${dir}/${name}` as ByteString);
}
