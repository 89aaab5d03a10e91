/**
 * What a file is in an image and cannot be on this disk, kept in an attribute: device nodes, which nobody makes in a user
 * namespace, and owners, where the namespace has no id but 0. Steps see what is on the disk: an empty file, and user 0.
 */
import { TsbuildError } from '../errors.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import { idScope } from './ids.ts';
import { getXattrAt, removeXattrAt, setXattrAt } from './xattr.ts';

/** Never of an image or a context, and never in a layer: see `isImageXattr`. */
const DEVICE = 'user.tsbuild.device';
const OWNER = 'user.tsbuild.owner';

export interface Device {
  readonly type: 'char' | 'block';
  readonly major: number;
  readonly minor: number;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** For an empty file that stands for a device. */
export function recordDevice(dir: number, name: ByteString, { type, major, minor }: Device): void {
  setXattrAt(dir, name, DEVICE, Buffer.from(`${type} ${major} ${minor}`));
}

/** Undefined for files that are what they seem. Only an empty file can stand for a device: a step may have written to it. */
export function recordedDevice(dir: number, name: ByteString, file: { type: string; size: number }): Device | undefined {
  if (file.type !== 'file' || file.size !== 0 || idScope() === 'machine') return undefined;
  const match = /^(char|block) (\d{1,5}) (\d{1,8})$/.exec(getXattrAt(dir, name, DEVICE)?.toString('latin1') ?? '');
  if (match === null) return undefined;
  return { type: match[1] === 'char' ? 'char' : 'block', major: Number(match[2]), minor: Number(match[3]) };
}

/** Throws PRIVILEGE for what can have no attribute (links, pipes) and belongs to somebody else than root. */
export function recordOwner(dir: number, name: ByteString, { uid, gid }: Owner): void {
  try {
    if (uid === 0 && gid === 0) removeXattrAt(dir, name, OWNER);
    else setXattrAt(dir, name, OWNER, Buffer.from(`${uid} ${gid}`));
  } catch (cause) {
    if (uid === 0 && gid === 0) return;
    throw new TsbuildError(
      'PRIVILEGE',
      `Cannot give ${display(name)} to ${uid}:${gid}: this user namespace has one id, and no record can be kept of it`,
      {
        hint: 'Give yourself subordinate ids: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME.',
        cause,
      },
    );
  }
}

export function recordedOwner(dir: number, name: ByteString, type: string): Owner | undefined {
  if ((type !== 'file' && type !== 'directory') || idScope() !== 'one') return undefined;
  const match = /^(\d{1,10}) (\d{1,10})$/.exec(getXattrAt(dir, name, OWNER)?.toString('latin1') ?? '');
  return match === null ? undefined : { uid: Number(match[1]), gid: Number(match[2]) };
}
