/** One MountSpec → the operations that make it. Every mount is nosuid and nodev, whatever its kind. */

import { unreachable } from '../errors.ts';
import type { Operation } from '../sys/syscall-program.ts';
import type { MountSpec } from './container-spec.ts';
import {
  AT_FDCWD,
  attach,
  attachAt,
  cloneMount,
  type MountAttribute,
  makeDirectory,
  makeLink,
  makeNode,
  newFileSystem,
  openTarget,
  SCRATCH,
} from './file-operations.ts';
import { DEVICES } from './root-operations.ts';

const S_IFREG = 0o100000;
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
}

export function mountOperations(mount: MountSpec, context: MountContext): Operation[] {
  const as = `mount${context.index}`;
  switch (mount.kind) {
    case 'proc':
    case 'mqueue':
      return fileSystem(mount.target, { type: mount.kind, attributes: ['nosuid', 'nodev', 'noexec'], as });
    case 'sysfs':
    case 'cgroup2':
      return fileSystem(mount.target, { type: mount.kind, attributes: ['ro', 'nosuid', 'nodev', 'noexec'], as });
    case 'dev':
      return devOperations(mount, as);
    case 'tmpfs':
      return tmpfsOperations(mount, as);
    case 'bind':
      return clone(mount, { as, tree: 'with mounts below', attributes: mount.access === 'read-only' ? ['ro'] : [] });
    case 'file':
      return clone(mount, { as, tree: 'this mount', attributes: ['ro', 'noexec'] });
    case 'text':
      return textOperations({ target: mount.target, text: mount.text, mode: mount.mode ?? 0o644 }, as);
    case 'resolver':
      return textOperations({ target: mount.target, text: context.resolvConf, mode: 0o644 }, as);
    default:
      return unreachable(mount);
  }
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
function devOperations({ target, shmBytes }: Extract<MountSpec, { kind: 'dev' }>, as: string): Operation[] {
  const dev = { result: as };
  const size = [
    ['mode', '0755'],
    ['size', '65536k'],
  ] as const;
  return [
    ...fileSystem(target, { type: 'tmpfs', options: size, attributes: ['nosuid', 'nodev', 'strictatime'], as }),
    ...DEVICES.flatMap(([name]) => [makeNode(dev, name, { mode: S_IFREG | 0o666, device: 0 }), ...deviceOperations(name, as)]),
    ...DEV_LINKS.map(([to, name]) => makeLink(to, dev, name)),
    ...['pts', 'shm', 'mqueue'].map((name) => makeDirectory(dev, name, 0o755)),
    ...newFileSystem({
      type: 'devpts',
      options: [
        ['mode', '0620'],
        ['ptmxmode', '0666'],
        ['gid', '5'],
      ],
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

function deviceOperations(name: string, dev: string): Operation[] {
  const as = `${dev}.${name}`;
  return [
    ...cloneMount({ dir: SCRATCH, path: name, tree: 'this mount', attributes: ['nosuid', 'noexec'], as, subject: `/dev/${name}` }),
    attachAt(as, { result: dev }, name),
  ];
}

function tmpfsOperations({ target, bytes, mode }: Extract<MountSpec, { kind: 'tmpfs' }>, as: string): Operation[] {
  const options: (readonly [string, string])[] = [['mode', (mode ?? 0o1777).toString(8)]];
  if (bytes !== undefined) options.push(['size', String(bytes)]);
  return [
    openTarget({ path: target, links: 'follow', as: `${as}.place`, why: 'for a tmpfs' }),
    ...newFileSystem({ type: 'tmpfs', options, attributes: ['nosuid', 'nodev'], as }),
    attach(as, { result: `${as}.place` }, `tmpfs on ${target} in the container`),
  ];
}

interface CloneOptions {
  readonly as: string;
  readonly tree: 'this mount' | 'with mounts below';
  readonly attributes: readonly MountAttribute[];
}

function clone({ target, hostPath }: { target: string; hostPath: string }, { as, tree, attributes }: CloneOptions): Operation[] {
  const subject = `${hostPath} on ${target} in the container`;
  return [
    openTarget({ path: target, links: 'follow', as: `${as}.place`, why: `for ${hostPath}` }),
    ...cloneMount({ dir: AT_FDCWD, path: hostPath, tree, attributes: [...attributes, 'nosuid', 'nodev'], as, subject }),
    attach(as, { result: `${as}.place` }, subject),
  ];
}

/** The file is written to the scratch tmpfs: nothing of it touches a disk or outlives the step. */
function textOperations({ target, text, mode }: { target: string; text: string; mode: number }, as: string): Operation[] {
  const bytes = Buffer.from(text, 'utf8');
  const file = { result: `${as}.file` };
  const attributes = ['ro', 'nosuid', 'nodev', 'noexec'] as const;
  return [
    { syscall: 'openat', arguments: [SCRATCH, { text: as }, O_CREATE_NEW, mode], subject: `a file for ${target}`, as: file.result },
    {
      syscall: 'write',
      arguments: [file, { bytes: bytes.toString('base64') }, bytes.length],
      subject: `a file for ${target}`,
      expect: { result: bytes.length },
    },
    openTarget({ path: target, links: 'follow', as: `${as}.place`, why: 'for a file' }),
    ...cloneMount({ dir: SCRATCH, path: as, tree: 'this mount', attributes, as, subject: `a file for ${target}` }),
    attach(as, { result: `${as}.place` }, `a file on ${target} in the container`),
  ];
}
