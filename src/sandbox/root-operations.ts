/** The container's root file system, and moving into it. */
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, LayerStack, OverlayRootfs } from './container-spec.ts';
import {
  AT_FDCWD,
  attach,
  attachAt,
  changeMount,
  cloneMount,
  makeDirectory,
  makeNode,
  newFileSystem,
  ROOT,
  SCRATCH,
} from './file-operations.ts';

const MS_NODEV = 4;
const MS_REC = 0x4000;
const MS_PRIVATE = 1 << 18;
const MNT_DETACH = 2;
const O_PATH_CLOEXEC = 0o12000000;
const S_IFCHR = 0o020000;
const S_IFREG = 0o100000;
/** What mount(2) takes of its options, on every architecture at least; it would cut off more in silence. Snapshots are stacks that fit. */
const OPTION_PAGE_BYTES = 4096;
/**
 * Whatever the machine's defaults: an upper directory must say by itself what changed. `userxattr`, marks that are not the machine's
 * root's alone, implies that.
 */
const PLAIN_LAYERS = { 'own machine': ['redirect_dir=off', 'metacopy=off'], 'user namespace': ['userxattr'] } as const;

/** The device nodes of a container: name → number in the kernel's encoding (small ones: major << 8 | minor). */
export const DEVICES: readonly (readonly [name: string, device: number])[] = [
  ['null', 0x103],
  ['zero', 0x105],
  ['full', 0x107],
  ['random', 0x108],
  ['urandom', 0x109],
  ['tty', 0x500],
];

/**
 * Mounts the root file system, names its descriptor `root`, and makes `scratch`: a tmpfs below the root mount, which goes away
 * with the old tree, so that only what is cloned out of it is ever seen in the container. `before` comes as soon as no mount is seen outside. Unless `devices` says otherwise, everything is nodev,
 * stricter than Docker's device cgroup: a device node that a step makes cannot be opened.
 */
export function rootOperations(
  spec: Pick<ContainerSpec, 'rootfs' | 'mounts' | 'devices' | 'userNamespace'>,
  before: readonly Operation[] = [],
): Operation[] {
  const { rootfs, mounts, devices } = spec;
  const host: Host = spec.userNamespace === undefined ? 'own machine' : 'user namespace';
  const stacks = mounts.flatMap((mount, index) => (mount.kind === 'layers' ? [{ stack: mount.layers, as: `mount${index}` }] : []));
  const makePrivate: Operation = {
    syscall: 'mount',
    arguments: [0, { text: '/' }, 0, MS_REC | MS_PRIVATE, 0],
    subject: '/ apart from the host (MS_REC+MS_PRIVATE)',
  };
  const root = rootOf(rootfs, stacks, host);
  return [
    makePrivate,
    ...before,
    ...root,
    ...(devices === 'any' ? [changeMount(ROOT, { without: ['nodev'], subject: 'the root file system (device nodes)' })] : []),
  ];
}

function rootOf(rootfs: ContainerSpec['rootfs'], stacks: readonly Stack[], host: Host): Operation[] {
  if ('directory' in rootfs) return directoryRoot(rootfs.directory, stacks, host);
  if ('machine' in rootfs) return [...scratchAt(rootfs.scratch, nodesOf(host)), openHere('/', ROOT.result)];
  return overlayRoot(rootfs, stacks, host);
}

/** pivot_root onto the directory itself and let go of the old tree below it: the way of pivot_root(2) without put_old. */
export function enterRootOperations({ rootfs }: Pick<ContainerSpec, 'rootfs'>): Operation[] {
  if ('machine' in rootfs) return [];
  return [
    { syscall: 'fchdir', arguments: [ROOT], subject: 'to the root file system' },
    { syscall: 'pivot_root', arguments: [{ text: '.' }, { text: '.' }], subject: 'to the root file system' },
    { syscall: 'umount2', arguments: [{ text: '.' }, MNT_DETACH], subject: 'the tree of the host (MNT_DETACH)' },
    { syscall: 'chdir', arguments: [{ text: '/' }], subject: '/ of the container' },
  ];
}

/** Where the privileges of this process count: on the whole machine, or in a user namespace. */
type Host = 'own machine' | 'user namespace';

function overlayRoot(rootfs: OverlayRootfs, stacks: readonly Stack[], host: Host): Operation[] {
  // Overlayfs needs something below: with no layer yet, the upper directory alone is the whole tree.
  if (rootfs.lower.length === 0) return directoryRoot(`${rootfs.cwd}/${rootfs.upper}`, stacks, host);
  return [
    goTo(rootfs.cwd),
    ...scratchAt(rootfs.merged, nodesOf(host)),
    ...stacks.flatMap((stack) => stackOperations(stack, `${rootfs.cwd}/${rootfs.merged}`, host)),
    ...(stacks.length === 0 ? [] : [goTo(rootfs.cwd)]),
    mountOverlay({ ...rootfs, host }, rootfs.merged),
    openHere(rootfs.merged, ROOT.result),
  ];
}

interface Layers {
  readonly lower: readonly string[];
  readonly upper?: string;
  readonly work?: string;
  readonly host: Host;
}

/** `place` may be relative to the current directory, as the layers are. */
function mountOverlay(layers: Layers, place: string): Operation {
  const data = overlayOptions(layers);
  if (Buffer.byteLength(data) >= OPTION_PAGE_BYTES) throw new Error(`${layers.lower.length} layers are more than a mount takes`);
  return {
    syscall: 'mount',
    arguments: [{ text: 'overlay' }, { text: place }, { text: 'overlay' }, MS_NODEV, { text: data }],
    subject: `overlay on ${place} (MS_NODEV; ${data})`,
  };
}

/**
 * Escapes what separates options and layers. What a crash of the machine may have cut is never used: so nothing that a step syncs has to be on
 * the disk, nor what the file system below holds, when this one is let go (Documentation/filesystems/overlayfs.rst, "Volatile mount").
 */
function overlayOptions({ lower, upper, work, host }: Layers): string {
  const escaped = (path: string) => path.replace(/[\\,:]/g, '\\$&');
  const writable = upper === undefined || work === undefined ? '' : `,upperdir=${escaped(upper)},workdir=${escaped(work)},volatile`;
  return `${PLAIN_LAYERS[host].join(',')},lowerdir=${lower.map(escaped).join(':')}${writable}`;
}

function goTo(directory: string): Operation {
  return { syscall: 'chdir', arguments: [{ text: directory }], subject: directory };
}

interface Stack {
  readonly stack: LayerStack;
  /** Of its mount; see `layersName`. */
  readonly as: string;
}

/** The result that holds the root of the layers of a mount. */
export function layersName(as: string): string {
  return `${as}.layers`;
}

/** Mounted in the scratch tmpfs, before the root file system comes to lie on it: by path, as layers are given. */
function stackOperations({ stack, as }: Stack, scratch: string, host: Host): Operation[] {
  const { cwd, lower, writable } = stack;
  const place = `${scratch}/${as}`;
  // Without an upper directory overlayfs wants two layers, and none twice.
  const padding = writable === undefined ? [`${scratch}/empty`] : [];
  if (lower.length === 0) padding.push(`${scratch}/${as}.none`);
  return [
    goTo(cwd),
    makeDirectory(SCRATCH, as, 0o700),
    ...(lower.length === 0 ? [makeDirectory(SCRATCH, `${as}.none`, 0o755)] : []),
    mountOverlay({ lower: [...lower, ...padding], ...writable, host }, place),
    openHere(place, layersName(as)),
  ];
}

function directoryRoot(directory: string, stacks: readonly Stack[], host: Host): Operation[] {
  return [
    ...cloneMount({ dir: AT_FDCWD, path: directory, tree: 'this mount', attributes: ['nodev'], as: 'tree', subject: directory }),
    ...scratchAt(directory, nodesOf(host)),
    ...stacks.flatMap((stack) => stackOperations(stack, directory, host)),
    openHere(directory, 'scratch.top'),
    attach('tree', { result: 'scratch.top' }, directory),
    openHere(directory, ROOT.result),
  ];
}

/** How a device node comes to be in the scratch directory. */
type MakeNode = (name: string, device: number) => readonly Operation[];

function nodesOf(host: Host): MakeNode {
  return host === 'user namespace' ? nodeOfMachine : (name, device) => [makeNode(SCRATCH, name, { mode: S_IFCHR | 0o666, device })];
}

export function scratchAt(path: string, nodeOf: MakeNode): Operation[] {
  return [
    ...newFileSystem({ type: 'tmpfs', options: [['mode', '0755']], attributes: ['nosuid', 'noexec'], as: SCRATCH.result }),
    openHere(path, 'scratch.place'),
    attach(SCRATCH.result, { result: 'scratch.place' }, path),
    makeDirectory(SCRATCH, 'empty', 0o555),
    ...DEVICES.flatMap(([name, device]) => nodeOf(name, device)),
  ];
}

/** A node cannot be made in a user namespace: the machine's own is mounted on a file, where host-facts.ts has found it to be the right one. */
function nodeOfMachine(name: string): Operation[] {
  const as = `machine.${name}`;
  const subject = `/dev/${name} of the machine`;
  return [
    makeNode(SCRATCH, name, { mode: S_IFREG | 0o666, device: 0 }),
    ...cloneMount({ dir: AT_FDCWD, path: `/dev/${name}`, tree: 'this mount', attributes: ['nosuid', 'noexec'], as, subject }),
    attachAt(as, SCRATCH, name),
  ];
}

export function openHere(path: string, as: string): Operation {
  return { syscall: 'openat', arguments: [AT_FDCWD, { text: path }, O_PATH_CLOEXEC], subject: `${path} (O_PATH)`, as };
}
