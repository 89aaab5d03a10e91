/**
 * How an overlay file system marks in an upper directory what lower layers no longer have
 * (Documentation/filesystems/overlayfs.rst "whiteouts and opaque directories"), and what stands for that where such marks cannot be
 * made, as on an overlay itself: marks of ours, which no overlay reads, so that such directories are copied and never mounted.
 */
import { SyscallError, TsbuildError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import { makeNodeAt, unlinkAt } from './entries.ts';
import { idScope } from './ids.ts';
import { type Stat, statAt } from './stat.ts';
import { getXattrAt, setXattrAt } from './xattr.ts';

/** Of a directory. Never of an image: see `isImageXattr`. */
const OWN_OPAQUE = 'user.tsbuild.opaque';
/** EPERM: overlayfs lets nobody make its whiteouts, a container nobody set `trusted.*`. */
const NOT_HERE: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP']);

/** `trusted.*` is the machine's root's; elsewhere overlays are mounted with `userxattr`. */
function opaqueKey(): string {
  return `${idScope() === 'machine' ? 'trusted' : 'user'}.overlay.opaque`;
}

/** A character device 0:0 stands for a deleted name, and where nobody can make that, a socket without permissions: no layer has sockets. */
export function isWhiteout(stat: Stat): boolean {
  return isDevice0(stat) || (stat.type === 'socket' && stat.mode === 0);
}

function isDevice0(stat: Stat): boolean {
  return stat.type === 'char' && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

export function makeWhiteoutAt(dir: number, name: ByteString): void {
  try {
    makeNodeAt(dir, name, { type: 'char', mode: 0, major: 0, minor: 0 });
    const made = statAt(dir, name);
    if (made !== undefined && isDevice0(made)) return;
    // A file system of FUSE may be an overlay itself, and take it for its own.
    if (made !== undefined) unlinkAt(dir, name, 'file');
  } catch (error) {
    if (!(error instanceof SyscallError) || !NOT_HERE.has(error.errno)) throw error;
  }
  makeNodeAt(dir, name, { type: 'socket', mode: 0 });
}

/** True where the directory hides everything that lower layers have in it. */
export function isOpaqueAt(dir: number, name: ByteString): boolean {
  const value = getXattrAt(dir, name, opaqueKey());
  if (value === undefined) return getXattrAt(dir, name, OWN_OPAQUE) !== undefined;
  const text = value.toString('latin1');
  if (text === 'y') return true;
  // 'x' announces whiteouts in a form that only a nested overlay writes (Linux 6.7).
  throw new TsbuildError('UNSUPPORTED', `Cannot read the overlay directory ${display(name)}: ${opaqueKey()} is "${text}"`);
}

export function setOpaqueAt(dir: number, name: ByteString): void {
  try {
    setXattrAt(dir, name, opaqueKey(), Buffer.from('y'));
    if (getXattrAt(dir, name, opaqueKey()) !== undefined) return;
  } catch (error) {
    if (!(error instanceof SyscallError) || !NOT_HERE.has(error.errno)) throw error;
  }
  setXattrAt(dir, name, OWN_OPAQUE, Buffer.from('y'));
}
