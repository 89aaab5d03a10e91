/** The operations on files and mounts that the rest is written in: one function per system call, flags in words. */
import type { Argument, Operation } from '../sys/syscall-program.ts';

export const AT_FDCWD = -100;
export const EPERM = 1;
export const ENOENT = 2;
export const EEXIST = 17;
export const ENOTDIR = 20;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const RESOLVE_NO_MAGICLINKS = 2;
const RESOLVE_NO_SYMLINKS = 4;
const RESOLVE_IN_ROOT = 16;
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;

/** MOUNT_ATTR_* of mount_setattr(2) and fsmount(2), by the names of mount(8). */
const MOUNT_ATTRIBUTES = { ro: 1, nosuid: 2, nodev: 4, noexec: 8, strictatime: 0x20 } as const;
export type MountAttribute = keyof typeof MOUNT_ATTRIBUTES;
const MOUNT_ATTR_IDMAP = 0x10_0000;

/** Result names of what is there from the start: see rootOperations. */
export const ROOT = { result: 'root' } as const;
export const SCRATCH = { result: 'scratch' } as const;

interface Target {
  readonly path: string;
  /** `follow` stays inside the root whatever links there are; `refuse` is for places that must be what they seem. */
  readonly links: 'follow' | 'refuse';
  readonly as: string;
  readonly why: string;
  readonly ignore?: readonly number[];
}

/** Opens a place in the container's root for mounting, never outside and never through a magic link of /proc. openat2(2) */
export function openTarget({ path, links, as, why, ignore }: Target): Operation {
  const operation = openIn(ROOT, path, { links, as, subject: `${path} in the container ${why}` });
  return ignore === undefined ? operation : { ...operation, ignore };
}

/** O_PATH of a place in a tree, never outside it. openat2(2) */
export function openIn(
  root: Argument,
  path: string,
  { links, as, subject }: { links: Target['links']; as: string; subject: string },
): Operation {
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links === 'refuse' ? RESOLVE_NO_SYMLINKS : 0);
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_PATH | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return {
    syscall: 'openat2',
    arguments: [root, { text: path }, { bytes: how.toString('base64') }, how.length],
    subject: `${subject} (O_PATH; RESOLVE_IN_ROOT+NO_MAGICLINKS${links === 'refuse' ? '+NO_SYMLINKS' : ''})`,
    as,
  };
}

interface FileSystem {
  readonly type: string;
  readonly options?: readonly (string | readonly [key: string, value: string])[];
  readonly attributes: readonly MountAttribute[];
  /** Name of the detached mount. */
  readonly as: string;
}

/** A new file system, mounted nowhere yet. fsopen(2), fsconfig(2), fsmount(2) */
export function newFileSystem({ type, options = [], attributes, as }: FileSystem): Operation[] {
  const context = { result: `${as}.context` };
  const described = `${type} (${[...attributes, ...options.map((option) => (typeof option === 'string' ? option : option.join('=')))].join(',')})`;
  const configure = (command: number, key: Argument, value: Argument): Operation => ({
    syscall: 'fsconfig',
    arguments: [context, command, key, value, 0],
    subject: described,
  });
  return [
    { syscall: 'fsopen', arguments: [{ text: type }, FSOPEN_CLOEXEC], subject: described, as: context.result },
    configure(FSCONFIG_SET_STRING, { text: 'source' }, { text: type }),
    ...options.map((option) =>
      typeof option === 'string'
        ? configure(FSCONFIG_SET_FLAG, { text: option }, 0)
        : configure(FSCONFIG_SET_STRING, { text: option[0] }, { text: option[1] }),
    ),
    configure(FSCONFIG_CMD_CREATE, 0, 0),
    { syscall: 'fsmount', arguments: [context, FSMOUNT_CLOEXEC, attributeFlags(attributes)], subject: described, as },
  ];
}

interface CloneSource {
  readonly dir: Argument;
  /** '' is `dir` itself. */
  readonly path: string;
  readonly tree: 'this mount' | 'with mounts below';
  readonly attributes: readonly MountAttribute[];
  /** Attributes of what is cloned that the clone does not have. */
  readonly without?: readonly MountAttribute[];
  /** Owners of its files are seen as the ids of this user namespace: its descriptor, by number. */
  readonly idMap?: number | undefined;
  readonly as: string;
  readonly subject: string;
  /** Left out where this result is missing. */
  readonly needs?: string;
}

/** A second mount of something that is mounted, attached nowhere yet, with more attributes. open_tree(2), mount_setattr(2) */
export function cloneMount({ dir, path, tree, attributes, without = [], idMap, as, subject, needs }: CloneSource): Operation[] {
  const recursive = tree === 'with mounts below' ? AT_RECURSIVE : 0;
  return [
    {
      syscall: 'open_tree',
      arguments: [dir, { text: path }, OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | recursive],
      subject: `${subject} (OPEN_TREE_CLONE${recursive === 0 ? '' : '+AT_RECURSIVE'})`,
      as,
      ...(needs === undefined ? {} : { needs }),
    },
    changeMount({ result: as }, { attributes, without, idMap, recursive, subject: `${subject} (${described(attributes, idMap)})` }),
  ];
}

interface MountChange {
  readonly attributes?: readonly MountAttribute[];
  readonly without?: readonly MountAttribute[];
  readonly idMap?: number | undefined;
  /** AT_RECURSIVE or 0. */
  readonly recursive?: number;
  readonly subject: string;
}

/** Other attributes for a mount, by a descriptor of its root. mount_setattr(2) */
export function changeMount(mount: Argument, { attributes = [], without = [], idMap, recursive = 0, subject }: MountChange): Operation {
  const change = Buffer.alloc(32);
  change.writeBigUInt64LE(BigInt(attributeFlags(attributes) | (idMap === undefined ? 0 : MOUNT_ATTR_IDMAP)), 0);
  change.writeBigUInt64LE(BigInt(attributeFlags(without)), 8);
  change.writeBigUInt64LE(BigInt(idMap ?? 0), 24);
  return {
    syscall: 'mount_setattr',
    arguments: [mount, { text: '' }, AT_EMPTY_PATH | recursive, { bytes: change.toString('base64') }, change.length],
    subject,
  };
}

/** Puts a detached mount on an opened place. move_mount(2) */
export function attach(mount: string, target: Argument, subject: string): Operation {
  return {
    syscall: 'move_mount',
    arguments: [{ result: mount }, { text: '' }, target, { text: '' }, MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
    subject,
  };
}

/** Puts a detached mount on a name in a directory of our own making. */
export function attachAt(mount: string, dir: Argument, name: string): Operation {
  return {
    syscall: 'move_mount',
    arguments: [{ result: mount }, { text: '' }, dir, { text: name }, MOVE_MOUNT_F_EMPTY_PATH],
    subject: `${name} in the container`,
  };
}

export function makeDirectory(dir: Argument, name: string, mode: number): Operation {
  return { syscall: 'mkdirat', arguments: [dir, { text: name }, mode], subject: `${name} for the container (0${mode.toString(8)})` };
}

export function makeNode(dir: Argument, name: string, { mode, device }: { mode: number; device: number }): Operation {
  return {
    syscall: 'mknodat',
    arguments: [dir, { text: name }, mode, device],
    subject: `${name} for the container (0${mode.toString(8)})`,
  };
}

export function makeLink(target: string, dir: Argument, name: string): Operation {
  return { syscall: 'symlinkat', arguments: [{ text: target }, dir, { text: name }], subject: `${name} -> ${target} for the container` };
}

function described(attributes: readonly MountAttribute[], idMap: number | undefined): string {
  return [...attributes, ...(idMap === undefined ? [] : ['idmap'])].join(',');
}

function attributeFlags(attributes: readonly MountAttribute[]): number {
  return attributes.reduce((flags, attribute) => flags | MOUNT_ATTRIBUTES[attribute], 0);
}
