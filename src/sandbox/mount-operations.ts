/** One MountSpec → the operations that make it. Every mount is nosuid and, unless it is a device, nodev, whatever its kind. */

import { posix } from 'node:path';
import { unreachable } from '../errors.ts';
import { packDevice } from '../sys/device-number.ts';
import type { Argument, Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, DeviceNode, FileOwner, MountAccess, MountSpec, TargetToMake } from './container-spec.ts';
import { deviceSource } from './device-operations.ts';
import {
  AT_FDCWD,
  attach,
  attachAt,
  cloneMount,
  EEXIST,
  EPERM,
  type MountAttribute,
  makeDirectory,
  makeLink,
  makeNode,
  newFileSystem,
  openIn,
  openTarget,
  SCRATCH,
} from './file-operations.ts';
import { DEVICES, layersName } from './root-operations.ts';

const S_IFREG = 0o100000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const O_PATH_CLOEXEC = 0o12000000;
const O_CREATE_NEW = 0o2000301; // O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC

const DEV_LINKS = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
  ['pts/ptmx', 'ptmx'],
] as const;

interface MountContext {
  /** Makes the names of this mount's results unique in the program. */
  readonly index: number;
  readonly resolvConf: string;
  readonly spec: Pick<ContainerSpec, 'network' | 'userNamespace' | 'process'>;
}

export function mountOperations(mount: MountSpec, context: MountContext): Operation[] {
  const as = `mount${context.index}`;
  return [...(mount.make === undefined ? [] : targetOperations(mount.target, mount.make, as)), ...kindOperations(mount, context, as)];
}

/** How files of the machine are shown: their owners are those of this user namespace, but those of one directory, which are that already. */
export interface MountMap {
  /** A descriptor's number. */
  readonly idMap: number;
  readonly mappedFiles: string;
  /** The machine's number of the step's root. */
  readonly first: number;
}

/** What takes the machine's root of a mount: a detached one named `as`. None for what the step's own root mounts. */
export function sourceOperations(
  mount: MountSpec,
  as: string,
  { spec, map }: { readonly spec: MountContext['spec']; readonly map?: MountMap },
): Operation[] {
  switch (mount.kind) {
    case 'proc':
      return newFileSystem({ type: 'proc', attributes: ['nosuid', 'nodev', 'noexec'], as });
    case 'bind':
      return bindSource(mount, as, map);
    case 'layers':
      return partOf(mount, { root: { result: layersName(as) }, what: 'layers', as });
    case 'file':
      return fileSource(mount, { as, tree: 'this mount', attributes: ['ro', 'noexec'], map });
    case 'device':
      return deviceSource(mount, as, { spec, first: map?.first ?? 0, isMade: map !== undefined || spec.userNamespace === undefined });
    default:
      return [];
  }
}

/** Where a detached mount goes. */
function place({ kind, target }: MountSpec, as: string): Operation[] {
  const links = kind === 'proc' ? 'refuse' : 'follow';
  return [
    openTarget({ path: target, links, as: `${as}.place`, why: `for ${kind}` }),
    attach(as, { result: `${as}.place` }, `${kind} on ${target} in the container`),
  ];
}

function kindOperations(mount: MountSpec, context: MountContext, as: string): Operation[] {
  const { userNamespace = { ids: 'all' } } = context.spec;
  switch (mount.kind) {
    case 'proc':
      if (userNamespace.proc === 'outer') return outerProc(mount.target, as);
      return 'mapped' in userNamespace ? place(mount, as) : [...sourceOperations(mount, as, context), ...place(mount, as)];
    case 'mqueue':
      return fileSystem(mount.target, { type: mount.kind, attributes: ['nosuid', 'nodev', 'noexec'], as });
    case 'sysfs':
      if (context.spec.userNamespace !== undefined) return sysOperations(mount, context, as);
      return ownSysfs(mount, as);
    case 'cgroup2':
      return fileSystem(mount.target, {
        type: mount.kind,
        attributes: [...readOnly(mount.access ?? 'read-only'), 'nosuid', 'nodev', 'noexec'],
        as,
      });
    case 'dev':
      return devOperations(mount, as, userNamespace.ids);
    case 'tmpfs':
      return tmpfsOperations(mount, as);
    case 'bind':
    case 'layers':
    case 'device':
    case 'file':
      return 'mapped' in userNamespace ? place(mount, as) : [...sourceOperations(mount, as, context), ...place(mount, as)];
    case 'text':
      return contentOperations(
        { target: mount.target, bytes: Buffer.from(mount.text), owner: rootFile(mount.mode ?? 0o644), execute: 'never' },
        as,
      );
    case 'bytes':
      return contentOperations(
        { target: mount.target, bytes: Buffer.from(mount.bytes, 'base64'), owner: mount.owner, execute: 'by mode' },
        as,
      );
    case 'resolver':
      return contentOperations(
        { target: mount.target, bytes: Buffer.from(context.resolvConf), owner: rootFile(0o644), execute: 'never' },
        as,
      );
    default:
      return unreachable(mount);
  }
}

function ownSysfs({ target, access }: Extract<MountSpec, { kind: 'sysfs' | 'cgroup2' }>, as: string): Operation[] {
  return fileSystem(target, { type: 'sysfs', attributes: [...readOnly(access ?? 'read-only'), 'nosuid', 'nodev', 'noexec'], as });
}

/** With what hides parts of it: the kernel lets nobody take that away. */
function outerProc(target: string, as: string): Operation[] {
  const subject = `/proc of tsbuild on ${target} in the container`;
  return [
    openTarget({ path: target, links: 'refuse', as: `${as}.place`, why: 'for /proc of tsbuild' }),
    ...cloneMount({
      ...{ dir: AT_FDCWD, path: '/proc', tree: 'with mounts below', as, subject },
      attributes: ['nosuid', 'nodev', 'noexec'],
    }),
    attach(as, { result: `${as}.place` }, subject),
  ];
}

/**
 * In a user namespace a sysfs belongs to the network namespace that it shows, and is refused where that is the machine's, or where
 * the machine's own cannot be seen whole. So the machine's is there, read-only, and the step's lies on it where it can be made.
 */
function sysOperations(mount: Extract<MountSpec, { kind: 'sysfs' | 'cgroup2' }>, { spec }: MountContext, as: string): Operation[] {
  const place = `${as}.below`;
  const subject = `/sys of the machine on ${mount.target} in the container`;
  return [
    openTarget({ path: mount.target, links: 'refuse', as: place, why: 'for /sys of the machine' }),
    ...cloneMount({
      ...{ dir: AT_FDCWD, path: '/sys', tree: 'with mounts below', as: `${as}.machine`, subject },
      attributes: ['ro', 'nosuid', 'nodev', 'noexec'],
    }),
    attach(`${as}.machine`, { result: place }, subject),
    ...(spec.network === 'host' ? [] : ownSysfs(mount, as).map((operation) => ({ ...operation, ignore: [EPERM] }))),
  ];
}

/** A pseudo file system belongs on the real directory, never where an image's link points (CVE-2019-16884 and its kin). */
function fileSystem(target: string, options: Parameters<typeof newFileSystem>[0]): Operation[] {
  const place = `${options.as}.place`;
  return [
    openTarget({ path: target, links: 'refuse', as: place, why: `for ${options.type}` }),
    ...newFileSystem(options),
    attach(options.as, { result: place }, `${options.type} on ${target} in the container`),
  ];
}

/**
 * Nodes are single-file mounts out of the scratch tmpfs; /dev itself is nodev, so that only those six open. devpts has to
 * allow devices.
 */
function devOperations(mount: Extract<MountSpec, { kind: 'dev' }>, as: string, ids: 'all' | 'one'): Operation[] {
  const { target, shmBytes, more = [] } = mount;
  const dev = { result: as };
  const size = [
    ['mode', '0755'],
    ['size', '65536k'],
  ] as const;
  return [
    ...fileSystem(target, {
      type: 'tmpfs',
      options: size,
      attributes: ['nosuid', ...(mount.more === undefined ? (['nodev'] as const) : []), 'strictatime'],
      as,
    }),
    ...DEVICES.flatMap(([name]) => [makeNode(dev, name, { mode: S_IFREG | 0o666, device: 0 }), ...standardNode(name, as)]),
    ...DEV_LINKS.map(([to, name]) => makeLink(to, dev, name)),
    ...['pts', 'shm', 'mqueue', ...new Set(more.flatMap(({ name }) => (name.includes('/') ? [posix.dirname(name)] : [])))].map((name) =>
      makeDirectory(dev, name, 0o755),
    ),
    ...more.map((node) => moreNode(node, dev)),
    ...newFileSystem({
      type: 'devpts',
      options: [['mode', '0620'], ['ptmxmode', '0666'], ...(ids === 'all' ? [['gid', '5'] as const] : [])],
      attributes: ['nosuid', 'noexec'],
      as: `${as}.pts`,
    }),
    attachAt(`${as}.pts`, dev, 'pts'),
    ...newFileSystem({
      type: 'tmpfs',
      options: [
        ['mode', '1777'],
        ['size', String(shmBytes)],
      ],
      attributes: ['nosuid', 'nodev', 'noexec'],
      as: `${as}.shm`,
    }),
    attachAt(`${as}.shm`, dev, 'shm'),
  ];
}

function moreNode({ name, type, ...number }: DeviceNode, dev: Argument): Operation {
  return makeNode(dev, name, { mode: (type === 'char' ? S_IFCHR : S_IFBLK) | 0o600, device: packDevice(number) });
}

function standardNode(name: string, dev: string): Operation[] {
  const as = `${dev}.${name}`;
  return [
    ...cloneMount({ dir: SCRATCH, path: name, tree: 'this mount', attributes: ['nosuid', 'noexec'], as, subject: `/dev/${name}` }),
    attachAt(as, { result: dev }, name),
  ];
}

function tmpfsOperations({ target, bytes, mode, access, execute }: Extract<MountSpec, { kind: 'tmpfs' }>, as: string): Operation[] {
  const options: (readonly [string, string])[] = [['mode', (mode ?? 0o1777).toString(8)]];
  if (bytes !== undefined) options.push(['size', String(bytes)]);
  return [
    openTarget({ path: target, links: 'follow', as: `${as}.place`, why: 'for a tmpfs' }),
    ...newFileSystem({
      type: 'tmpfs',
      options,
      attributes: [...readOnly(access), 'nosuid', 'nodev', ...(execute === 'never' ? (['noexec'] as const) : [])],
      as,
    }),
    attach(as, { result: `${as}.place` }, `tmpfs on ${target} in the container`),
  ];
}

interface FileSource {
  readonly as: string;
  readonly tree: 'this mount' | 'with mounts below';
  readonly attributes: readonly MountAttribute[];
  readonly map: MountMap | undefined;
}

function fileSource({ hostPath }: { readonly hostPath: string }, { as, tree, attributes, map }: FileSource): Operation[] {
  const idMap = idMapOf(hostPath, map);
  return cloneMount({
    ...{ dir: AT_FDCWD, path: hostPath, tree, attributes: [...attributes, 'nosuid', 'nodev'], as, subject: hostPath },
    idMap,
  });
}

/** A mount that is mapped already stays so when it is cloned, and takes no other map. */
function idMapOf(hostPath: string, map: MountMap | undefined): number | undefined {
  return map === undefined || hostPath.startsWith(`${map.mappedFiles}/`) ? undefined : map.idMap;
}

/** Where a mount is made inside another one: made component by component, by descriptors, as nobody else has made it meanwhile. */
function targetOperations(target: string, { inside, type }: TargetToMake, as: string): Operation[] {
  const names = target
    .slice(inside === '/' ? 0 : inside.length)
    .split('/')
    .filter((name) => name !== '');
  return names.flatMap((name, index) => {
    const above = `${inside === '/' ? '' : inside}/${names.slice(0, index).join('/')}`;
    const dir = { result: `${as}.above${index}` };
    const isFile = type === 'file' && index === names.length - 1;
    const made = isFile ? makeNode(dir, name, { mode: S_IFREG | 0o644, device: 0 }) : makeDirectory(dir, name, 0o755);
    const subject = `${target} in the container, to mount on`;
    return [openTarget({ path: above, links: 'follow', as: dir.result, why: `for ${target}` }), { ...made, subject, ignore: [EEXIST] }];
  });
}

function readOnly(access: MountAccess | undefined): MountAttribute[] {
  return access === 'read-only' ? ['ro'] : [];
}

function bindSource(mount: Extract<MountSpec, { kind: 'bind' }>, as: string, map: MountMap | undefined): Operation[] {
  const { hostPath, source, access, execute } = mount;
  const attributes = [...readOnly(access), ...(execute === 'never' ? (['noexec'] as const) : [])];
  if (source === undefined) return fileSource(mount, { as, tree: 'with mounts below', attributes, map });
  const root = { result: `${as}.from` };
  return [
    { syscall: 'openat', arguments: [AT_FDCWD, { text: hostPath }, O_PATH_CLOEXEC], subject: `${hostPath} (O_PATH)`, as: root.result },
    ...partOf({ source, access }, { root, what: hostPath, as, idMap: idMapOf(hostPath, map) }),
  ];
}

interface Whole {
  readonly root: Argument;
  readonly what: string;
  readonly as: string;
  readonly idMap?: number | undefined;
}

/** What is at `source` in a tree; that of layers is mounted with the root file system (root-operations.ts), out of sight. */
function partOf(
  { source, access }: { readonly source: string; readonly access: MountAccess },
  { root, what, as, idMap }: Whole,
): Operation[] {
  const subject = `${source} of ${what}`;
  const attributes = [...readOnly(access), 'nosuid', 'nodev'] as const;
  return [
    openIn(root, source, { links: 'follow', as: `${as}.source`, subject }),
    ...cloneMount({ dir: { result: `${as}.source` }, path: '', tree: 'this mount', attributes, idMap, as, subject }),
  ];
}

interface Content {
  readonly target: string;
  readonly bytes: Buffer;
  readonly owner: FileOwner;
  readonly execute: 'never' | 'by mode';
}

function rootFile(mode: number): FileOwner {
  return { mode, uid: 0, gid: 0 };
}

/** The file is written to the scratch tmpfs: nothing of it touches a disk or outlives the step. */
function contentOperations({ target, bytes, owner, execute }: Content, as: string): Operation[] {
  const file = { result: `${as}.file` };
  const subject = `a file for ${target}`;
  const isProgram = execute === 'by mode' && (owner.mode & 0o111) !== 0;
  const { uid, gid, mode } = owner;
  return [
    { syscall: 'openat', arguments: [SCRATCH, { text: as }, O_CREATE_NEW, mode & 0o777], subject, as: file.result },
    ...(bytes.length === 0 ? [] : writeOperations(file, bytes, subject)),
    ...(uid === 0 && gid === 0 ? [] : [{ syscall: 'fchown', arguments: [file, uid, gid], subject } as const]),
    openTarget({ path: target, links: 'follow', as: `${as}.place`, why: 'for a file' }),
    ...cloneMount({
      ...{ dir: SCRATCH, path: as, tree: 'this mount', as, subject },
      attributes: ['ro', 'nosuid', 'nodev', ...(isProgram ? [] : ['noexec' as const])],
      without: isProgram ? ['noexec'] : [],
    }),
    attach(as, { result: `${as}.place` }, `a file on ${target} in the container`),
  ];
}

function writeOperations(file: Argument, bytes: Buffer, subject: string): Operation[] {
  return [
    { syscall: 'write', arguments: [file, { bytes: bytes.toString('base64') }, bytes.length], subject, expect: { result: bytes.length } },
  ];
}
