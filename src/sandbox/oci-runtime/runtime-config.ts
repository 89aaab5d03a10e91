/** ContainerSpec → config.json of the OCI runtime specification 1.0.2: config.md and config-linux.md. Pure. */
import type { Architecture } from '../../sys/syscall-program-numbers.ts';
import type { CgroupLimits } from '../cgroup/cgroup-limits.ts';
import { quotaOf, swapTotal } from '../cgroup/cgroup-limits.ts';
import type { ContainerSpec, MountSpec, ProcessSpec } from '../container-spec.ts';
import type { Rlimit, RlimitValue } from '../rlimits.ts';
import { ociSeccomp } from '../seccomp/oci-profile.ts';
import { type BundleFile, runtimeMounts } from './runtime-mounts.ts';

/** One line of /proc/PID/uid_map, user_namespaces(7): `inside` ids from there on are those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly size: number;
}

export interface RuntimeOptions {
  /** `inherited`: the runtime is in the container's network already. `own`: a new one with a loopback only. */
  readonly network: 'own' | 'inherited';
  /** Where the runtime is to make a user namespace itself, with these ids. */
  readonly userNamespace?: { readonly uids: readonly IdRange[]; readonly gids: readonly IdRange[] } | undefined;
  /** Absolute, below the control groups' file systems. */
  readonly cgroupsPath?: string | undefined;
  readonly resolvConf: string;
  readonly arch: Architecture;
  readonly kernel: { readonly major: number; readonly minor: number };
}

export interface RuntimeConfig {
  readonly json: string;
  readonly files: readonly BundleFile[];
}

const VERSION = '1.0.2';
/** Of the root file system, beside config.json. */
export const BUNDLE_ROOT = 'rootfs';
/** No number of JavaScript is RLIM_INFINITY, nor is it read exactly from one. */
const RLIM_INFINITY = '18446744073709551615';

/** Nothing of `spec.rootfs` is in it: that is the directory `rootfs` of the bundle. */
export function runtimeConfig(spec: ContainerSpec, options: RuntimeOptions): RuntimeConfig {
  const { mounts, files } = runtimeMounts(spec.mounts, {
    host: spec.userNamespace === undefined ? 'own machine' : 'user namespace',
    ids: spec.userNamespace?.ids ?? 'all',
    resolvConf: options.resolvConf,
  });
  const rest = {
    root: { path: BUNDLE_ROOT, readonly: spec.rootAccess === 'read-only' },
    hostname: spec.hostname,
    mounts,
    linux: linuxOf(spec, options),
  };
  return { json: `{"ociVersion":"${VERSION}","process":${processText(spec, options)},${JSON.stringify(rest).slice(1)}\n`, files };
}

function processText({ process, capabilities }: ContainerSpec, { userNamespace }: RuntimeOptions): string {
  const { argv, env, cwd, uid, gid, groups, umask, newPrivileges, terminal, rlimits = [] } = process;
  const text = JSON.stringify({
    terminal: terminal !== undefined,
    ...(terminal === undefined ? {} : { consoleSize: { width: terminal.columns, height: terminal.rows } }),
    // Without root, runc refuses to set any.
    user: { uid, gid, umask, additionalGids: userNamespace === undefined ? groups : [] },
    ...{ args: argv, env, cwd },
    capabilities: capabilitySets(process, capabilities),
    noNewPrivileges: newPrivileges === 'none',
  });
  return `${text.slice(0, -1)},"rlimits":[${rlimits.map(rlimitText).join()}]}`;
}

function capabilitySets({ uid }: ProcessSpec, bounding: readonly string[]): Record<string, readonly string[]> {
  const own = uid === 0 ? bounding : [];
  return { bounding, effective: own, permitted: own, inheritable: [], ambient: [] };
}

function rlimitText({ name, soft, hard }: Rlimit): string {
  return `{"type":"RLIMIT_${name.toUpperCase()}","soft":${valueText(soft)},"hard":${valueText(hard)}}`;
}

function valueText(value: RlimitValue): string {
  return value === 'unlimited' ? RLIM_INFINITY : String(value);
}

function linuxOf(spec: ContainerSpec, options: RuntimeOptions): object {
  const { seccomp, capabilities } = spec;
  const { userNamespace, cgroupsPath, kernel, arch } = options;
  return {
    namespaces: namespacesOf(spec, options).map((type) => ({ type })),
    ...(userNamespace === undefined
      ? {}
      : { uidMappings: userNamespace.uids.map(mappingOf), gidMappings: userNamespace.gids.map(mappingOf) }),
    maskedPaths: spec.maskedPaths.map(({ path }) => path),
    readonlyPaths: spec.readonlyPaths,
    devices: spec.mounts.flatMap((mount) => devicesIn(mount, spec)),
    resources: {
      devices: [{ allow: spec.devices === 'any', access: 'rwm' }, ...spec.mounts.flatMap(allowanceFor)],
      ...resourcesOf(spec.limits ?? {}),
    },
    ...(cgroupsPath === undefined ? {} : { cgroupsPath }),
    ...(seccomp === 'default' ? { seccomp: ociSeccomp(arch, { capabilities, kernel }) } : {}),
  };
}

function namespacesOf({ network }: ContainerSpec, options: RuntimeOptions): string[] {
  return [
    ...['pid', 'ipc', 'uts', 'mount', 'cgroup'],
    ...(network === 'host' || options.network === 'inherited' ? [] : ['network']),
    ...(options.userNamespace === undefined ? [] : ['user']),
  ];
}

function mappingOf({ inside, outside, size }: IdRange): object {
  return { containerID: inside, hostID: outside, size };
}

function devicesIn(mount: MountSpec, { userNamespace, process }: ContainerSpec): object[] {
  if (mount.kind === 'device' && userNamespace === undefined) {
    const { target: path, mode: fileMode, major, minor, uid = process.uid, gid = process.gid } = mount;
    return [{ path, type: letterOf(mount), major, minor, fileMode, uid, gid }];
  }
  if (mount.kind !== 'dev') return [];
  return (mount.more ?? []).map(({ name, type, major, minor }) => ({
    ...{ path: `/dev/${name}`, type: type === 'char' ? 'c' : 'b', major, minor, fileMode: 0o600, uid: 0, gid: 0 },
  }));
}

/** A runtime has a device cgroup, where we have mounts. */
function allowanceFor(mount: MountSpec): object[] {
  if (mount.kind !== 'device') return [];
  const { major, minor } = mount;
  return [{ allow: true, type: letterOf(mount), major, minor, access: 'rwm' }];
}

function letterOf({ type }: Extract<MountSpec, { kind: 'device' }>): 'b' | 'c' {
  return type === 'block' ? 'b' : 'c';
}

function resourcesOf(limits: CgroupLimits): object {
  const { memory, cpuShares, cpusetCpus, cpusetMems, pids } = limits;
  const swap = swapTotal(limits);
  const { period, quota } = quotaOf(limits);
  return {
    memory: { limit: memory, swap: swap === 'unlimited' ? -1 : swap },
    cpu: { shares: cpuShares, period, quota, cpus: cpusetCpus, mems: cpusetMems },
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  };
}
