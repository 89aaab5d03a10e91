/** MountSpec → mounts as the OCI runtime specification writes them: config.md, "Mounts". Pure. */
import { unreachable } from '../../errors.ts';
import type { MountAccess, MountSpec } from '../container-spec.ts';

export interface OciMount {
  readonly destination: string;
  readonly type?: string;
  /** A path is absolute, or relative to the bundle. */
  readonly source: string;
  readonly options: readonly string[];
}

/** What lies in the bundle to be mounted. */
export interface BundleFile {
  /** Relative to the bundle. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface RuntimeMounts {
  readonly mounts: readonly OciMount[];
  readonly files: readonly BundleFile[];
}

export interface RuntimeSurroundings {
  /** `own machine` where device nodes can be made. */
  readonly host: 'own machine' | 'user namespace';
  readonly ids: 'all' | 'one';
  /** The content of /etc/resolv.conf. */
  readonly resolvConf: string;
}

const KERNEL = ['nosuid', 'nodev', 'noexec'] as const;
const DIRECTORY = 'files';

/** In order. A runtime finds or makes the targets itself, inside the root file system. */
export function runtimeMounts(mounts: readonly MountSpec[], surroundings: RuntimeSurroundings): RuntimeMounts {
  const each = mounts.map((mount, index) => runtimeMount(mount, index, surroundings));
  // Runtimes know the kernel's file systems, and refuse what leads into them, where those are there.
  const kernelFirst = each.flatMap(({ mounts }) => mounts).toSorted((a, b) => rankOf(a) - rankOf(b));
  return { mounts: kernelFirst, files: each.flatMap(({ files }) => files) };
}

function rankOf({ destination, type }: OciMount): number {
  return type !== 'bind' && /^\/(?:proc|sys|dev)\b/.test(destination) ? 0 : 1;
}

function runtimeMount(mount: MountSpec, index: number, surroundings: RuntimeSurroundings): RuntimeMounts {
  const destination = mount.target;
  switch (mount.kind) {
    case 'proc':
    case 'mqueue':
      return only({ destination, type: mount.kind, source: mount.kind, options: KERNEL });
    case 'sysfs':
      if (surroundings.host === 'own machine')
        return only({ destination, type: 'sysfs', source: 'sysfs', options: [...KERNEL, access(mount.access ?? 'read-only')] });
      return only({ destination, type: 'none', source: '/sys', options: ['rbind', ...KERNEL, 'ro'] });
    case 'cgroup2':
      return only({ destination, type: 'cgroup', source: 'cgroup', options: [...KERNEL, access(mount.access ?? 'read-only')] });
    case 'dev':
      return { mounts: devMounts(mount, surroundings), files: [] };
    case 'tmpfs':
      return only({ destination, type: 'tmpfs', source: 'tmpfs', options: tmpfsOptions(mount) });
    case 'bind':
      if (mount.source !== undefined) throw new Error(`A part of ${mount.hostPath} is not for a runtime`);
      return only(bind(destination, mount.hostPath, ['rbind', 'nosuid', 'nodev', access(mount.access), ...noExecute(mount)]));
    case 'device':
      // Where nodes can be made the runtime makes it: runtime-config.ts.
      if (surroundings.host === 'own machine') return { mounts: [], files: [] };
      return only(bind(destination, mount.hostPath, ['bind', 'nosuid', 'noexec']));
    case 'file':
      return only(bind(destination, mount.hostPath, ['bind', ...KERNEL, 'ro']));
    case 'text':
      return content(destination, file(index, Buffer.from(mount.text), mount.mode));
    case 'resolver':
      return content(destination, file(index, Buffer.from(surroundings.resolvConf)));
    case 'bytes':
      return content(destination, { ...file(index, Buffer.from(mount.bytes, 'base64')), ...mount.owner });
    case 'layers':
      throw new Error('Layers are not for a runtime');
    default:
      return unreachable(mount);
  }
}

/** Where the runtime makes no nodes by itself it binds the machine's. */
function devMounts(mount: Extract<MountSpec, { kind: 'dev' }>, { ids }: RuntimeSurroundings): OciMount[] {
  const { target, shmBytes } = mount;
  const group = ids === 'all' ? ['gid=5'] : [];
  return [
    { destination: target, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    {
      ...{ destination: `${target}/pts`, type: 'devpts', source: 'devpts' },
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...group],
    },
    { destination: `${target}/shm`, type: 'tmpfs', source: 'shm', options: [...KERNEL, 'mode=1777', `size=${shmBytes}`] },
  ];
}

function tmpfsOptions({ bytes, mode, access: wanted, execute }: Extract<MountSpec, { kind: 'tmpfs' }>): string[] {
  return [
    ...['nosuid', 'nodev', `mode=${(mode ?? 0o1777).toString(8)}`, access(wanted ?? 'read-write')],
    ...(bytes === undefined ? [] : [`size=${bytes}`]),
    ...noExecute({ execute }),
  ];
}

function noExecute({ execute }: { readonly execute?: 'never' | undefined }): 'noexec'[] {
  return execute === 'never' ? ['noexec'] : [];
}

function access(wanted: MountAccess): 'ro' | 'rw' {
  return wanted === 'read-only' ? 'ro' : 'rw';
}

function bind(destination: string, source: string, options: readonly string[]): OciMount {
  return { destination, type: 'bind', source, options };
}

function file(index: number, bytes: Buffer, mode = 0o644): BundleFile {
  return { path: `${DIRECTORY}/${index}`, bytes, mode, uid: 0, gid: 0 };
}

function content(destination: string, made: BundleFile): RuntimeMounts {
  return { mounts: [bind(destination, made.path, ['bind', ...KERNEL, 'ro'])], files: [made] };
}

function only(mount: OciMount): RuntimeMounts {
  return { mounts: [mount], files: [] };
}
