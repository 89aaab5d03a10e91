/** Where the targets of a step's mounts come from: the image has them, stubs are made for them, or they lie in another mount. */
import { TsbuildError } from '../../errors.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import type { StubRequest } from '../../snapshots/mount-stub.ts';
import { type ByteString, display, fromText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { resolvePath } from '../../tree/resolve.ts';

export interface PlacedMounts {
  readonly mounts: readonly MountSpec[];
  /** Where each of them is, links of the image followed: as far as it lies in another mount, what that one holds decides. */
  readonly places: readonly ByteString[];
  /** To be made in the root file system. */
  readonly targets: readonly StubRequest[];
}

/** Places of the kernel's own that nothing of a Dockerfile is mounted on (CVE-2019-16884 and its kin). */
const KERNEL = /^(?:proc|sys)(?:\/|$)/;

/** `mounts` in the order in which they are made. Throws MOUNT_INVALID, IMAGE_INVALID. */
export function placeMounts(tree: FileTree, mounts: readonly MountSpec[]): PlacedMounts {
  const placed: { readonly at: ByteString; readonly target: string }[] = [];
  const targets: StubRequest[] = [];
  const result = mounts.map((mount) => {
    const type = targetType(mount);
    const at = resolveTarget(tree, mount);
    const around = placed.findLast(({ at: outer }) => at === outer || at.startsWith(`${outer}/`));
    placed.push({ at, target: mount.target });
    // What belongs to the kernel's file systems has its place there.
    if (isKernelMount(mount) && around !== undefined) return mount;
    if (around !== undefined) return { ...mount, target: `/${toText(at)}`, make: { inside: `/${toText(around.at)}`, type } };
    checkType(tree, at, { mount, type });
    targets.push({ path: at, type });
    const present = tree.stat(at);
    // As runc does: a tmpfs looks like the directory that it hides.
    return mount.kind === 'tmpfs' && present !== undefined ? { ...mount, mode: mount.mode ?? present.mode } : mount;
  });
  return { mounts: result, places: placed.map(({ at }) => at), targets };
}

function isKernelMount({ kind }: MountSpec): boolean {
  return kind === 'proc' || kind === 'sysfs' || kind === 'cgroup2' || kind === 'mqueue' || kind === 'dev';
}

function targetType(mount: MountSpec): 'file' | 'directory' {
  switch (mount.kind) {
    case 'text':
    case 'bytes':
    case 'resolver':
    case 'file':
    case 'device':
      return 'file';
    case 'layers':
      return mount.type;
    case 'bind':
      return mount.type ?? 'directory';
    default:
      return 'directory';
  }
}

/** A link on the way is followed inside the root; one where /proc, /dev or /sys belongs is an attack or a mistake. */
function resolveTarget(tree: FileTree, mount: MountSpec): ByteString {
  const path = fromText(mount.target.slice(1));
  if (isKernelMount(mount)) return path;
  const resolved = resolvePath(tree, path, 'follow').path;
  if (resolved !== '' && !KERNEL.test(resolved)) return resolved;
  const where = resolved === '' ? 'the root of the container' : `inside /${resolved.split('/', 1)[0]}, which is the kernel's`;
  throw new TsbuildError('MOUNT_INVALID', `Cannot mount on ${mount.target}: it is ${where}`);
}

function checkType(tree: FileTree, at: ByteString, { mount, type }: { mount: MountSpec; type: 'file' | 'directory' }): void {
  const present = tree.stat(at);
  if (present === undefined || (present.type === 'directory') === (type === 'directory')) {
    if (present?.type !== 'symlink') return;
  }
  const isOurs = isKernelMount(mount) || mount.kind === 'text' || mount.kind === 'resolver';
  throw new TsbuildError(
    isOurs ? 'IMAGE_INVALID' : 'MOUNT_INVALID',
    `Cannot mount ${mount.target} in the container: the image has a ${present?.type} there`,
    {
      hint: isOurs
        ? `Remove it from the image: a container needs a ${type} of that name.`
        : `Choose another target, or remove /${display(at)} in an earlier step.`,
    },
  );
}

function toText(path: ByteString): string {
  return Buffer.from(path, 'latin1').toString('utf8');
}
