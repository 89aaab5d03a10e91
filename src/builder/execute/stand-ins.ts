/**
 * What stands in for the mounts of a step where nothing can be mounted: files and directories put into the copy that it works on, in
 * the place of what the image has there. As with mounts, whatever lies at these places when the step is over is no part of its result.
 */
import { closeSync, constants, writeSync } from 'node:fs';
import { SyscallError, TsbuildError } from '../../errors.ts';
import type { FileOwner, MountSpec } from '../../sandbox/container-spec.ts';
import { makeDirectoryAt, renameAt } from '../../sys/entries.ts';
import { setModeAt, setOwnerAt, setTimesAt } from '../../sys/metadata.ts';
import { createAt, O_PATH, openBeneath, openDirectory, openInRoot } from '../../sys/open.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { statAt } from '../../sys/stat.ts';
import { type ByteString, fromText, join, nameOf, parentOf } from '../../tree/byte-string.ts';
import { makeDevices } from './device-stand-ins.ts';
import { findHome, type Home, isSame } from './stand-in-home.ts';

export interface StandIn {
  readonly mount: MountSpec;
  /** From placeMounts(). */
  readonly at: ByteString;
}

export interface StandInPlaces {
  /** The copy. Nobody else works on it before the step starts, nor after it has ended. */
  readonly root: number;
  /** An empty directory in the same file system, for what the image has in their places; absolute. */
  readonly aside: string;
  readonly resolvConf: string;
  /** Told where a device node cannot be made or opened. */
  onNoDevices(why: string): void;
}

/** One that is there. Descriptors lead to its place, wherever the step has moved the directory around it. */
interface Put {
  readonly parent: number;
  readonly name: ByteString;
  /** What the image has there: its name in the directory aside. */
  readonly aside: ByteString | undefined;
  /** Where it came from and goes back to; otherwise it was made for the step. */
  home?: Home;
}

const ROOT = '' as ByteString;
const PLACE = O_PATH | constants.O_DIRECTORY;

/** Puts them there in order; disposing takes them away again. Throws UNSUPPORTED where one cache is to be in two places. */
export function putStandIns(places: StandInPlaces, standIns: readonly StandIn[]): Disposable {
  refuseTwice(standIns);
  const aside = openDirectory(fromText(places.aside));
  const done: Put[] = [];
  const all = {
    [Symbol.dispose]() {
      for (let put = done.pop(); put !== undefined; put = done.pop()) takeAway(put, aside);
      closeSync(aside);
    },
  };
  try {
    for (const standIn of standIns) putOne({ places, aside, done }, standIn);
    return all;
  } catch (error) {
    all[Symbol.dispose]();
    throw error;
  }
}

/** A directory has one place. */
function refuseTwice(standIns: readonly StandIn[]): void {
  const seen = new Set<string>();
  for (const { mount } of standIns) {
    if (mount.kind !== 'bind') continue;
    if (seen.has(mount.hostPath)) {
      throw new TsbuildError('UNSUPPORTED', `Cannot mount a cache on ${mount.target} and on another place of one step in a chroot`, {
        hint: 'Mount it once, or give tsbuild what mounts need: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined.',
      });
    }
    seen.add(mount.hostPath);
  }
}

interface Putting {
  readonly places: StandInPlaces;
  readonly aside: number;
  readonly done: Put[];
}

function putOne({ places, aside, done }: Putting, { mount, at }: StandIn): void {
  const parent = openParent(places.root, mount, at);
  const name = nameOf(at);
  const before = statAt(parent, ROOT)?.mtimeNs ?? 0n;
  const old = statAt(parent, name) === undefined ? undefined : (String(done.length) as ByteString);
  if (old !== undefined) renameAt(parent, name, aside, old, 'noreplace');
  const put: Put = { parent, name, aside: old };
  done.push(put);
  fill(places, mount, put);
  // The step sees the directory as the image has it, and so does whoever compares it afterwards.
  setTimesAt(parent, ROOT, before);
}

function takeAway({ parent, name, aside, home }: Put, asideFd: number): void {
  try {
    const now = statAt(parent, ROOT)?.mtimeNs ?? 0n;
    if (home !== undefined) bringHome({ parent, name }, home);
    removeTree(parent, name);
    if (aside !== undefined) renameUnlessGone(asideFd, aside, { parent, name });
    setTimesAt(parent, ROOT, now);
  } finally {
    closeSync(parent);
    if (home !== undefined) closeSync(home.parent);
  }
}

/** What the step has put in its place is not what came from there. */
function bringHome({ parent, name }: Pick<Put, 'parent' | 'name'>, home: Home): void {
  if (isSame(statAt(parent, name), home.stat)) renameUnlessGone(parent, name, home);
}

/** The step may have removed the directory around it, as root of a machine could that has no mounts. */
function renameUnlessGone(from: number, name: ByteString, to: { readonly parent: number; readonly name: ByteString }): void {
  try {
    renameAt(from, name, to.parent, to.name, 'noreplace');
  } catch (error) {
    if (!(error instanceof SyscallError && error.errno === 'ENOENT')) throw error;
  }
}

/** In the image no link is on the way; in another stand-in, such as a cache, there may be: they are followed inside the root. */
function openParent(root: number, { make }: MountSpec, at: ByteString): number {
  if (make === undefined) return openBeneath(root, parentOf(at), PLACE);
  let fd = openInRoot(root, ROOT, PLACE);
  let above = ROOT;
  for (const name of parentOf(at).split('/') as ByteString[]) {
    if (name === '') continue;
    above = join(above, name);
    try {
      if (statAt(fd, name) === undefined) makeDirectoryAt(fd, name, 0o755);
    } finally {
      closeSync(fd);
    }
    fd = openInRoot(root, above, PLACE);
  }
  return fd;
}

function fill(places: StandInPlaces, mount: MountSpec, put: Put): void {
  const { parent, name } = put;
  switch (mount.kind) {
    case 'dev':
      makeDirectory(put, 0o755);
      makeDevices(parent, name, places.onNoDevices);
      return;
    case 'tmpfs':
      makeDirectory(put, mount.mode ?? 0o1777);
      return;
    case 'text':
      makeFile(put, Buffer.from(mount.text), { mode: mount.mode ?? 0o644, uid: 0, gid: 0 });
      return;
    case 'bytes':
      makeFile(put, Buffer.from(mount.bytes, 'base64'), mount.owner);
      return;
    case 'resolver':
      makeFile(put, Buffer.from(places.resolvConf), { mode: 0o644, uid: 0, gid: 0 });
      return;
    case 'bind':
    case 'file':
      bring(put, findHome(mount));
      return;
    default:
      throw new Error(`Nothing stands in for a mount of ${mount.kind}`);
  }
}

function makeDirectory({ parent, name }: Put, mode: number): void {
  makeDirectoryAt(parent, name, mode);
  setModeAt(parent, name, mode);
}

function makeFile({ parent, name }: Put, bytes: Uint8Array, { mode, uid, gid }: FileOwner): void {
  const fd = createAt(parent, name, 0o600);
  if (fd === undefined) throw new Error('A place that was made free is taken');
  try {
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset);
    setOwnerAt(fd, ROOT, uid, gid);
    setModeAt(fd, ROOT, mode);
  } finally {
    closeSync(fd);
  }
}

function bring(put: Put, home: Home): void {
  try {
    renameAt(home.parent, home.name, put.parent, put.name, 'noreplace');
    put.home = home;
  } catch (error) {
    closeSync(home.parent);
    throw error;
  }
}
