/**
 * How an overlay file system marks in an upper directory what lower layers no longer have
 * (Documentation/filesystems/overlayfs.rst "whiteouts and opaque directories").
 */
import { TsbuildError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import { makeNodeAt } from './entries.ts';
import { idScope } from './ids.ts';
import type { Stat } from './stat.ts';
import { getXattrAt, setXattrAt } from './xattr.ts';

/** `trusted.*` is the machine's root's; elsewhere overlays are mounted with `userxattr`. */
function opaqueKey(): string {
  return `${idScope() === 'machine' ? 'trusted' : 'user'}.overlay.opaque`;
}

/** A character device 0:0 stands for a deleted name. */
export function isWhiteout(stat: Stat): boolean {
  return stat.type === 'char' && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

export function makeWhiteoutAt(dir: number, name: ByteString): void {
  makeNodeAt(dir, name, { type: 'char', mode: 0, major: 0, minor: 0 });
}

/** True where the directory hides everything that lower layers have in it. */
export function isOpaqueAt(dir: number, name: ByteString): boolean {
  const value = getXattrAt(dir, name, opaqueKey());
  if (value === undefined) return false;
  const text = value.toString('latin1');
  if (text === 'y') return true;
  // 'x' announces whiteouts in a form that only a nested overlay writes (Linux 6.7).
  throw new TsbuildError('UNSUPPORTED', `Cannot read the overlay directory ${display(name)}: ${opaqueKey()} is "${text}"`);
}

export function setOpaqueAt(dir: number, name: ByteString): void {
  setXattrAt(dir, name, opaqueKey(), Buffer.from('y'));
}
